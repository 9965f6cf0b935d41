#include "slopewise/objective/program_objective.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <type_traits>
#include <variant>

#include "slopewise/base/error.hpp"

namespace slopewise {

template <class T>
ProgramObjective<T>::ProgramObjective(const Program& program, Batch<T> batch, ObjectiveOptions options)
    : program_(program), batch_(std::move(batch)), options_(std::move(options)) {
  if (!options_.workspace) options_.workspace = std::make_shared<Workspace>();
}

template <class T>
std::vector<Index> ProgramObjective<T>::outputs() const {
  return options_.output >= 0 ? std::vector{options_.output} : std::vector<Index>{};
}

template <class T>
ForwardOptions ProgramObjective<T>::forward_options(std::span<const TangentForm> forms, Index tangents,
                                                    int order) const {
  return {.tangents = tangents,
          .order = order,
          .forms = {forms.begin(), forms.end()},
          .outputs = outputs(),
          .precision = tangents > 0 ? options_.precision : of_values(options_.precision)};
}

template <class T>
ExactOptions ProgramObjective<T>::exact_options() const {
  return {.outputs = outputs(),
          .precision = of_values(options_.precision),
          .checkpointed = options_.checkpointed,
          .micro_batch = options_.micro_batch};
}

template <class T>
GivenOptions ProgramObjective<T>::given_options(GivenOptions options) const {
  options.outputs = outputs();
  options.precision = options_.precision;
  return options;
}

template <class T>
template <class Pass, class Options>
Pass& ProgramObjective<T>::pass(std::vector<Asked<Pass, Options>>& made, Options options) {
  auto found = std::ranges::find(made, options, &Asked<Pass, Options>::options);
  if (found == made.end()) {
    auto fresh = std::make_unique<Pass>(program_, options, options_.workspace);
    found = made.insert(made.end(), {std::move(options), std::move(fresh)});
  }
  last_ = found->pass.get();
  return *found->pass;
}

template <class T>
void ProgramObjective<T>::bind(Batch<T> batch) {
  batch_ = std::move(batch);
}

template <class T>
double ProgramObjective<T>::loss(const Parameters<T>& parameters) {
  return pass(forward_, forward_options({}, 0, 1)).run(parameters, batch_).loss;
}

template <class T>
Slopes ProgramObjective<T>::slopes(const Parameters<T>& parameters, const Tangents<T>& tangents, int order) {
  RunResult<T> result =
      pass(forward_, forward_options(tangents.forms(), tangents.count(), order)).run(parameters, batch_, &tangents);
  Slopes found{.loss = result.loss,
               .slopes = std::move(result.slopes),
               .curvatures = std::move(result.curvatures),
               .examples = batch_.rows};
  for (Index k = 0; k < tangents.count(); ++k) {
    double squares = 0;
    for (const T slope : result.example_slopes.subspan(k * batch_.rows, batch_.rows))
      squares += static_cast<double>(slope) * static_cast<double>(slope);
    found.example_squares.push_back(squares / static_cast<double>(batch_.rows));
  }
  return found;
}

template <class T>
Slopes ProgramObjective<T>::slopes(const Parameters<T>& parameters, const Tangents<T>& tangents) {
  return slopes(parameters, tangents, 1);
}

template <class T>
Slopes ProgramObjective<T>::curvatures(const Parameters<T>& parameters, const Tangents<T>& tangents) {
  return slopes(parameters, tangents, 2);
}

template <class T>
double ProgramObjective<T>::gradient(const Parameters<T>& parameters, std::span<T> out) {
  return pass(exact_, exact_options()).gradient(parameters, batch_, out).loss;
}

template <class T>
double ProgramObjective<T>::descend(Parameters<T>& parameters, double rate) {
  return pass(descent_, exact_options()).descend(parameters, batch_, rate).loss;
}

template <class T>
RunResult<T> ProgramObjective<T>::given(const GivenOptions& options, const Parameters<T>& parameters,
                                        const Tangents<T>* tangents, const Perturbation<T>& perturbation,
                                        const Giver<T>& giver, std::span<T> out, const GivenSums<T>&) {
  if (options.once)
    return GivenPass<T>(program_, given_options(options), options_.workspace)
        .given(parameters, batch_, tangents, perturbation, giver, out);
  return pass(given_, given_options(options)).given(parameters, batch_, tangents, perturbation, giver, out);
}

template <class T>
ForwardOptions ProgramObjective<T>::values_options(std::span<const Index> nodes) {
  return {.outputs = {nodes.begin(), nodes.end()}};
}

template <class T>
std::vector<std::vector<T>> ProgramObjective<T>::values(const Parameters<T>& parameters, std::span<const Index> nodes,
                                                        std::span<const Index> rows) {
  Batch<T> some{.rows = static_cast<Index>(rows.size()), .inputs = {}};
  std::vector<std::vector<T>> numbers(batch_.inputs.size());
  std::vector<std::vector<std::int32_t>> integers(batch_.inputs.size());
  for (std::size_t i = 0; i < batch_.inputs.size(); ++i) {
    std::visit(
        [&]<class Entry>(std::span<const Entry> all) {
          const std::size_t each = all.size() / static_cast<std::size_t>(batch_.rows);
          auto& to = [&]() -> std::vector<Entry>& {
            if constexpr (std::is_same_v<Entry, std::int32_t>) {
              return integers[i];
            } else {
              return numbers[i];
            }
          }();
          for (const Index row : rows) {
            if (row < 0 || row >= batch_.rows)
              throw ArgumentError(
                  fmt::format("values: expected examples from 0 to {}, found {}", batch_.rows - 1, row));
            const auto from = all.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(row) * each);
            to.insert(to.end(), from, from + static_cast<std::ptrdiff_t>(each));
          }
          some.inputs.emplace_back(std::span<const Entry>(to));
        },
        batch_.inputs[i]);
  }
  detail::PassOf<T>* const before = last_;
  ForwardPass<T>& made = pass(forward_, values_options(nodes));
  made.run(parameters, some);
  last_ = before;  // output() is not of these
  std::vector<std::vector<T>> found;
  for (std::size_t i = 0; i < nodes.size(); ++i) found.emplace_back(made.output(i).begin(), made.output(i).end());
  return found;
}

template <class T>
std::span<const T> ProgramObjective<T>::output() const {
  return options_.output >= 0 && last_ ? last_->output(0) : std::span<const T>();
}

namespace {

// Of one call, with so many numbers along tangents and entries of a gradient.
template <class T>
Demand demand_of(const detail::PassOf<T>& pass, Index rows, const AnswerSize& answers) {
  const MemoryReport memory = pass.memory(rows);
  return {.bytes = memory.gradient + memory.results,
          .working = memory.working(),
          .packed = memory.packed,
          .flops = pass.cost(rows).flops(),
          .answers = answers};
}

}  // namespace

template <class T>
Demand ProgramObjective<T>::loss_demand() const {
  return demand_of<T>(ForwardPass<T>(program_, forward_options({}, 0, 1)), batch_.rows, {.calls = 1});
}

template <class T>
Demand ProgramObjective<T>::slopes_demand(std::span<const TangentForm> forms, Index tangents, int order) const {
  return demand_of<T>(ForwardPass<T>(program_, forward_options(forms, tangents, order)), batch_.rows,
                      {.calls = 1, .tangents = tangents, .numbers = tangents * order});
}

template <class T>
Demand ProgramObjective<T>::gradient_demand() const {
  return demand_of<T>(ExactPass<T>(program_, exact_options()), batch_.rows, {.calls = 1, .dense = program_.size()});
}

template <class T>
Demand ProgramObjective<T>::given_demand(const GivenOptions& options) const {
  return demand_of<T>(GivenPass<T>(program_, given_options(options)), batch_.rows,
                      {.calls = 1,
                       .tangents = options.tangents,
                       .numbers = options.tangents,
                       .dense = program_.size() - options.gradient_first});
}

template <class T>
Demand ProgramObjective<T>::values_demand(std::span<const Index> nodes, Index rows) const {
  return demand_of<T>(ForwardPass<T>(program_, values_options(nodes)), rows, {});
}

template class ProgramObjective<float>;
template class ProgramObjective<double>;

}  // namespace slopewise
