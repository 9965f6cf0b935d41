#include "slopewise/objective/program_objective.hpp"

namespace slopewise {

template <class T>
ProgramObjective<T>::ProgramObjective(const Program& program, Batch<T> batch, ObjectiveOptions options)
    : program_(program), batch_(std::move(batch)), options_(options) {}

template <class T>
Runner<T>& ProgramObjective<T>::runner(const Workload& workload) {
  for (auto& made : runners_) {
    const Workload& has = made->workload();
    const bool forms = workload.forms.empty() || has.forms == workload.forms;
    if (has.mode != workload.mode || has.tangents != workload.tangents || has.order != workload.order || !forms)
      continue;
    if (has.batch < batch_.rows) *made = Runner<T>(program_, workload);
    return *made;
  }
  return *runners_.emplace_back(std::make_unique<Runner<T>>(program_, workload));
}

template <class T>
void ProgramObjective<T>::bind(Batch<T> batch) {
  batch_ = std::move(batch);
}

template <class T>
double ProgramObjective<T>::loss(const Parameters<T>& parameters) {
  return runner({.batch = batch_.rows, .precision = of_values(options_.precision)}).run(parameters, batch_).loss;
}

template <class T>
Slopes ProgramObjective<T>::slopes(const Parameters<T>& parameters, const Tangents<T>& tangents) {
  RunResult<T> result = runner({.batch = batch_.rows,
                                .tangents = tangents.count(),
                                .forms = tangents.forms(),
                                .precision = options_.precision})
                            .run(parameters, batch_, &tangents);
  return {.loss = result.loss, .slopes = std::move(result.slopes)};
}

template <class T>
RunResult<T> ProgramObjective<T>::curvatures(const Parameters<T>& parameters, const Tangents<T>& tangents) {
  return runner({.batch = batch_.rows,
                 .tangents = tangents.count(),
                 .order = 2,
                 .forms = tangents.forms(),
                 .precision = options_.precision})
      .run(parameters, batch_, &tangents);
}

template <class T>
double ProgramObjective<T>::gradient(const Parameters<T>& parameters, std::span<T> out) {
  return runner({.mode = Workload::Mode::kPullback, .batch = batch_.rows, .precision = of_values(options_.precision)})
      .gradient(parameters, batch_, out)
      .loss;
}

template <class T>
double ProgramObjective<T>::descend(Parameters<T>& parameters, double rate) {
  return runner({.mode = Workload::Mode::kDescent, .batch = batch_.rows, .precision = of_values(options_.precision)})
      .descend(parameters, batch_, rate)
      .loss;
}

template <class T>
ImageBatch<T>::ImageBatch(const Dataset& dataset, std::span<const Index> indices)
    : images_(indices.size() * static_cast<std::size_t>(dataset.image_shape.size())), labels_(indices.size()) {
  gather_images<T>(dataset, indices, images_);
  gather_labels(dataset, indices, labels_);
}

template <class T>
Batch<T> ImageBatch<T>::batch() const {
  return {.rows = static_cast<Index>(labels_.size()),
          .inputs = {std::span<const T>(images_), std::span<const std::int32_t>(labels_)}};
}

template class ProgramObjective<float>;
template class ProgramObjective<double>;
template class ImageBatch<float>;
template class ImageBatch<double>;

}  // namespace slopewise
