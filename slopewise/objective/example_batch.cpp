#include "slopewise/objective/example_batch.hpp"

namespace slopewise {

namespace {

// Room for so many numbers of type U, in the memory that is there.
template <class U, class T>
std::vector<U>& resized(std::variant<std::vector<T>, std::vector<std::int32_t>>& numbers, std::size_t size) {
  if (!std::holds_alternative<std::vector<U>>(numbers)) numbers = std::vector<U>();
  auto& vector = std::get<std::vector<U>>(numbers);
  vector.resize(size);
  return vector;
}

}  // namespace

template <class T>
void ExampleBatch<T>::gather(const Dataset& dataset, std::span<const Index> indices) {
  const auto room = [&](Index each) { return indices.size() * static_cast<std::size_t>(each); };
  rows_ = std::ssize(indices);
  inputs_.resize(1 + dataset.others.size());
  if (dataset.integers) {
    gather_integers(dataset, indices, resized<std::int32_t>(inputs_[0], room(dataset.image_shape.size())));
  } else {
    gather_inputs<T>(dataset, indices, resized<T>(inputs_[0], room(dataset.image_shape.size())));
  }
  for (std::size_t i = 0; i < dataset.others.size(); ++i) {
    const OtherInput& from = dataset.others[i];
    const std::size_t size = room(from.shape.size());
    if (from.integers) {
      gather_other<std::int32_t>(dataset, from, indices, resized<std::int32_t>(inputs_[i + 1], size));
    } else {
      gather_other<T>(dataset, from, indices, resized<T>(inputs_[i + 1], size));
    }
  }
  const bool labelled = dataset.outputs == 0 && dataset.classes > 0;
  labels_.resize(labelled ? room(dataset.label_shape.size()) : 0);
  if (labelled) gather_labels(dataset, indices, labels_);
  targets_.resize(room(dataset.outputs));
  if (targets_.empty()) return;
  std::vector<float> targets(targets_.size());
  gather_targets(dataset, indices, targets);
  targets_.assign(targets.begin(), targets.end());
}

template <class T>
Index ExampleBatch<T>::bytes(const Dataset& dataset, Index rows) {
  const auto each = [](Index entries, bool integers) {
    return entries * static_cast<Index>(integers ? sizeof(std::int32_t) : sizeof(T));
  };
  Index bytes = each(dataset.image_shape.size(), dataset.integers);
  for (const OtherInput& other : dataset.others) bytes += each(other.shape.size(), other.integers);
  if (dataset.outputs > 0) {
    bytes += each(dataset.outputs, false);
  } else if (dataset.classes > 0) {
    bytes += each(dataset.label_shape.size(), true);
  }
  return rows * bytes;
}

template <class T>
void ExampleBatch<T>::finish(Batch<T>& batch, std::span<const std::int32_t> noise) const {
  if (!noise.empty()) batch.inputs.emplace_back(noise);
  if (!targets_.empty()) batch.inputs.emplace_back(std::span<const T>(targets_));
  if (!labels_.empty()) batch.inputs.emplace_back(std::span<const std::int32_t>(labels_));
}

template <class T>
Batch<T> ExampleBatch<T>::batch(std::span<const std::int32_t> noise) const {
  Batch<T> batch{.rows = rows_, .inputs = {}};
  for (const Numbers& input : inputs_)
    std::visit([&](const auto& numbers) { batch.inputs.emplace_back(std::span(numbers)); }, input);
  finish(batch, noise);
  return batch;
}

template <class T>
Batch<T> ExampleBatch<T>::batch_of(std::span<const T> made, std::span<const std::int32_t> noise) const {
  Batch<T> batch{.rows = rows_, .inputs = {made}};
  finish(batch, noise);
  return batch;
}

template <class T>
std::span<const T> ExampleBatch<T>::images() const {
  const auto* numbers = inputs_.empty() ? nullptr : std::get_if<std::vector<T>>(&inputs_.front());
  return numbers ? std::span<const T>(*numbers) : std::span<const T>();
}

template class ExampleBatch<float>;
template class ExampleBatch<double>;

}  // namespace slopewise
