#include "slopewise/estimate/activity_prior.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "slopewise/base/named.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/estimate/mirror.hpp"
#include "slopewise/estimate/residual.hpp"
#include "slopewise/tensor/matmul.hpp"
#include "slopewise/tensor/random.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {

template <class T>
void ActivityPrior<T>::restore(const StateView<T>& state) {
  detail::copy_state(name(), state, memory_);
  steps_ = state.steps;
}

namespace {

template <class T>
class NoPrior final : public ActivityPrior<T> {
 public:
  std::string_view name() const override { return "none"; }
  void predict(const ActivityRows<T>&, std::span<const std::span<T>> out) const override {
    for (const std::span<T>& site : out) std::fill(site.begin(), site.end(), T{0});
  }
};

// m = mask ∘ (B e).
template <class T>
class Feedback : public ActivityPrior<T> {
 public:
  Feedback(const Program& program, const ActivitySites& sites)
      : rectified_(sites.rectified), classes_(program.node(sites.logits).shape.size()) {
    for (const Index node : sites.nodes) {
      sizes_.push_back(program.node(node).shape.size());
      this->memory_.push_back({fmt::format("feedback{}", sizes_.size()),
                               std::vector<T>(static_cast<std::size_t>(sizes_.back() * classes_))});
    }
  }

  void predict(const ActivityRows<T>& seen, std::span<const std::span<T>> out) const override {
    constexpr Index kRows = 16;
    parallel_for((seen.rows + kRows - 1) / kRows, [&](Index piece) {
      const Index first = piece * kRows;
      const Index rows = std::min(kRows, seen.rows - first);
      for (std::size_t site = 0; site < sizes_.size(); ++site) {
        const Index size = sizes_[site];
        T* m = out[site].data() + first * size;
        matmul<T>(rows, size, classes_, T{1}, {seen.error.data() + first * classes_, classes_},
                  {this->memory_[site].values.data(), classes_, true}, T{0}, m, size);
        if (!rectified_) continue;
        const T* value = seen.values[site].data() + first * size;
        for (Index i = 0; i < rows * size; ++i) m[i] = value[i] != T{0} ? m[i] : T{0};
      }
    });
  }

 protected:
  bool rectified_;
  Index classes_;
  std::vector<Index> sizes_;
};

template <class T>
class RandomFeedback final : public Feedback<T> {
 public:
  RandomFeedback(const Program& program, const ActivitySites& sites, std::uint64_t seed) : Feedback<T>(program, sites) {
    std::uint32_t stream = 0;
    for (auto& matrix : this->memory_) {
      fill_gaussian({.seed = derive_seed(seed, 0x66656564), .stream = stream++}, 0, std::span<T>(matrix.values));
      for (T& b : matrix.values) b /= std::sqrt(static_cast<T>(this->classes_));
    }
  }
  std::string_view name() const override { return "random-feedback"; }
};

template <class T>
class LearnedFeedback final : public Feedback<T> {
 public:
  LearnedFeedback(const Program& program, const ActivitySites& sites) : Feedback<T>(program, sites) {
    for (const Index size : this->sizes_) {
      correlation_.emplace_back(static_cast<std::size_t>(size * this->classes_));
      mass_.emplace_back(static_cast<std::size_t>(size));
    }
  }
  std::string_view name() const override { return "feedback"; }
  bool learns() const override { return true; }
  void begin(const Parameters<T>&) override {
    for (auto* sums : {&correlation_, &mass_}) {
      for (std::vector<T>& of_site : *sums) std::fill(of_site.begin(), of_site.end(), T{0});
    }
  }
  Index scratch_bytes() const override {
    std::size_t entries = 0;
    for (const auto* sums : {&correlation_, &mass_}) {
      for (const std::vector<T>& of_site : *sums) entries += of_site.size();
    }
    return static_cast<Index>(entries * sizeof(T));
  }

  // Σ_b r_b e_bᵀ and Σ_b mask_b |e_b|².
  void watch(const ActivityRows<T>& seen, std::size_t site, std::span<const T> residual) override {
    const Index size = this->sizes_[site], classes = this->classes_;
    constexpr Index kUnits = 512;
    parallel_for((size + kUnits - 1) / kUnits, [&](Index piece) {
      const Index first = piece * kUnits;
      const Index units = std::min(kUnits, size - first);
      matmul<T>(units, classes, seen.rows, T{1}, {residual.data() + first, size, true}, {seen.error.data(), classes},
                T{1}, correlation_[site].data() + first * classes, classes);
      for (Index b = 0; b < seen.rows; ++b) {
        const T* e = seen.error.data() + b * classes;
        const T power = dot(e, e, classes);
        const T* value = seen.values[site].data() + b * size + first;
        T* mass = mass_[site].data() + first;
        for (Index i = 0; i < units; ++i) mass[i] += !this->rectified_ || value[i] != T{0} ? power : T{0};
      }
    });
  }

  std::vector<std::span<T>> watched() override {
    std::vector<std::span<T>> sums;
    for (auto* of_sites : {&correlation_, &mass_}) sums.insert(sums.end(), of_sites->begin(), of_sites->end());
    return sums;
  }

  void learn(std::span<const double> paces, std::uint32_t) override {
    for (std::size_t site = 0; site < this->sizes_.size(); ++site) {
      const Index size = this->sizes_[site], classes = this->classes_;
      const T mean = sum_of(mass_[site].data(), size) / static_cast<T>(size);
      T* b = this->memory_[site].values.data();
      for (Index i = 0; i < size && mean > T{0}; ++i) {
        const T step = static_cast<T>(paces[site]) / (mass_[site][i] + mean / 2);
        axpy(step, correlation_[site].data() + i * classes, b + i * classes, classes);
      }
    }
    ++this->steps_;
  }

 private:
  std::vector<std::vector<T>> correlation_, mass_;  // one a site, of one pass
};

struct Entry {
  template <class T>
  using Make = std::unique_ptr<ActivityPrior<T>> (*)(const Program&, const ActivitySites&, std::uint64_t seed);
  std::string_view name, summary;
  Make<float> make_float;
  Make<double> make_double;
};

template <class T>
std::unique_ptr<ActivityPrior<T>> no_prior(const Program&, const ActivitySites&, std::uint64_t) {
  return std::make_unique<NoPrior<T>>();
}
template <class T>
std::unique_ptr<ActivityPrior<T>> feedback_prior(const Program& program, const ActivitySites& sites, std::uint64_t) {
  return std::make_unique<LearnedFeedback<T>>(program, sites);
}
template <class T>
std::unique_ptr<ActivityPrior<T>> random_feedback_prior(const Program& program, const ActivitySites& sites,
                                                        std::uint64_t seed) {
  return std::make_unique<RandomFeedback<T>>(program, sites, seed);
}

const NamedTable<Entry>& priors() {
  static const NamedTable<Entry> table(
      "activity prior",
      {{"none", "no prior: the slopes alone", no_prior<float>, no_prior<double>},
       {"feedback", "a linear map of the output error, learnt from residual slopes", feedback_prior<float>,
        feedback_prior<double>},
       {"random-feedback", "a fixed random map of the output error (direct feedback alignment)",
        random_feedback_prior<float>, random_feedback_prior<double>},
       {"residual", "the gradient at the top of the residual stream, as if blocks above were the identity",
        residual_prior<float>, residual_prior<double>},
       {"residual-learned", "the same through a map for each cut, learnt from residual slopes",
        learned_residual_prior<float>, learned_residual_prior<double>},
       {"mirror", "transposed weights learnt from pairs (x, W x); once learnt, backprop", mirror_prior<float>,
        mirror_prior<double>}});
  return table;
}

}  // namespace

const std::vector<std::string>& activity_prior_names() {
  return priors().names();
}

std::string_view activity_prior_summary(std::string_view name) {
  return priors().summary(name);
}

template <class T>
std::unique_ptr<ActivityPrior<T>> make_activity_prior(std::string_view name, const Program& program,
                                                      const ActivitySites& sites, std::uint64_t seed) {
  const Entry& entry = priors().find(name);
  if constexpr (std::is_same_v<T, float>) return entry.make_float(program, sites, seed);
  if constexpr (std::is_same_v<T, double>) return entry.make_double(program, sites, seed);
}

template class ActivityPrior<float>;
template class ActivityPrior<double>;
template std::unique_ptr<ActivityPrior<float>> make_activity_prior(std::string_view, const Program&,
                                                                   const ActivitySites&, std::uint64_t);
template std::unique_ptr<ActivityPrior<double>> make_activity_prior(std::string_view, const Program&,
                                                                    const ActivitySites&, std::uint64_t);

}  // namespace slopewise
