// Every optimizer by name.
#include "slopewise/base/named.hpp"
#include "slopewise/optimize/families.hpp"

namespace slopewise {
namespace {

template <class T>
using Make = std::unique_ptr<Optimizer<T>> (*)(Index, const OptimizerOptions&);

struct Entry {
  std::string_view name;
  std::string_view summary;
  Make<float> make_float;
  Make<double> make_double;
};

const NamedTable<Entry>& optimizers() {
  static const NamedTable<Entry> table(
      "optimizer", {{"sgd", "plain gradient descent; needs no memory", sgd_optimizer<float>, sgd_optimizer<double>},
                    {"momentum", "heavy-ball momentum", momentum_optimizer<float>, momentum_optimizer<double>},
                    {"nesterov", "Nesterov's momentum", nesterov_optimizer<float>, nesterov_optimizer<double>},
                    {"adam", "mean gradient over its root mean square, entry by entry", adam_optimizer<float>,
                     adam_optimizer<double>},
                    {"adamw", "Adam with decoupled weight decay", adamw_optimizer<float>, adamw_optimizer<double>}});
  return table;
}

}  // namespace

const std::vector<std::string>& optimizer_names() {
  return optimizers().names();
}
std::string_view optimizer_summary(std::string_view name) {
  return optimizers().summary(name);
}

template <>
std::unique_ptr<Optimizer<float>> make_optimizer<float>(std::string_view name, Index size,
                                                        const OptimizerOptions& options) {
  return optimizers().find(name).make_float(size, options);
}
template <>
std::unique_ptr<Optimizer<double>> make_optimizer<double>(std::string_view name, Index size,
                                                          const OptimizerOptions& options) {
  return optimizers().find(name).make_double(size, options);
}

}  // namespace slopewise
