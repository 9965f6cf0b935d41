#include "slopewise/data/dataset.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <type_traits>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

// Throws unless all indices are in range and `out` has the right size.
void check_gather(const char* function, const Dataset& dataset, std::span<const std::int64_t> indices,
                  std::int64_t row_size, std::size_t out_size) {
  const std::int64_t rows = std::ssize(indices);
  if (static_cast<std::int64_t>(out_size) != rows * row_size) {
    throw ArgumentError(fmt::format("{}: out has {} entries, expected {} for {} rows of {}", function, out_size,
                                    rows * row_size, rows, row_size));
  }
  for (const std::int64_t index : indices) {
    if (index < 0 || index >= dataset.count()) {
      throw ArgumentError(fmt::format("{}: index {} is outside data set {} of {} examples", function, index,
                                      dataset.name, dataset.count()));
    }
  }
}

// The numbers of one image of (channels, height, width) as (height, width, channels).
template <class T>
void put_channels_last(const Shape& shape, std::span<T> image, std::vector<T>& scratch) {
  scratch.assign(image.begin(), image.end());
  const Index pixels = shape[0] * shape[1], channels = shape[2];
  for (Index pixel = 0; pixel < pixels; ++pixel) {
    for (Index c = 0; c < channels; ++c) image[pixel * channels + c] = scratch[c * pixels + pixel];
  }
}

// Reads the rows of the set's examples at `indices`, each an example of `shape`.
template <class T>
void gather_rows(const Dataset& dataset, const Rows& rows, const Shape& shape, std::span<const std::int64_t> indices,
                 std::span<T> out) {
  if (rows.count() != dataset.inputs.count() || (rows.count() > 0 && rows.row_size() != shape.size())) {
    throw ArgumentError(fmt::format("data set {} has {} rows of {} numbers, expected {} examples of shape {}",
                                    dataset.name, rows.count(), rows.row_size(), dataset.inputs.count(),
                                    shape.to_string()));
  }
  check_gather("gather", dataset, indices, shape.size(), out.size());
  if (dataset.selection.empty()) return rows.read(indices, out);
  std::vector<Index> selected(indices.begin(), indices.end());
  for (Index& index : selected) index = dataset.selection[index];
  rows.read<T>(selected, out);
}

// Whole numbers, which a float holds only up to 2²⁴.
void gather_whole(const Dataset& dataset, const Rows& rows, const Shape& shape, std::span<const std::int64_t> indices,
                  std::span<std::int32_t> out) {
  std::vector<double> numbers(out.size());
  gather_rows<double>(dataset, rows, shape, indices, numbers);
  std::ranges::transform(numbers, out.begin(), [](double x) { return static_cast<std::int32_t>(x); });
}

}  // namespace

template <class T>
void gather_stored(const Dataset& dataset, std::span<const std::int64_t> indices, std::span<T> out) {
  const std::int64_t size = dataset.image_shape.size();
  gather_rows(dataset, dataset.inputs, dataset.image_shape, indices, out);
  if (!dataset.channels_first) return;
  std::vector<T> scratch;
  for (std::size_t first = 0; first < out.size(); first += static_cast<std::size_t>(size))
    put_channels_last(dataset.image_shape, out.subspan(first, static_cast<std::size_t>(size)), scratch);
}

template <class T>
void gather_inputs(const Dataset& dataset, std::span<const std::int64_t> indices, std::span<T> out) {
  const Scaling& scaling = dataset.scaling;
  if (scaling.rule != Scaling::Rule::kStandard) {
    gather_stored(dataset, indices, out);
    if (scaling.rule == Scaling::Rule::kBytes) std::ranges::transform(out, out.begin(), [](T x) { return x / T{255}; });
    return;
  }
  // Large numbers a little apart keep their differences: the mean goes before they become floats.
  std::vector<double> stored(out.size());
  gather_stored<double>(dataset, indices, stored);
  const std::size_t columns = scaling.mean.size();
  for (std::size_t first = 0; first < out.size(); first += columns) {
    for (std::size_t i = 0; i < columns; ++i)
      out[first + i] = static_cast<T>((stored[first + i] - scaling.mean[i]) / scaling.deviation[i]);
  }
}

template void gather_stored(const Dataset&, std::span<const std::int64_t>, std::span<float>);
template void gather_stored(const Dataset&, std::span<const std::int64_t>, std::span<double>);
template void gather_inputs(const Dataset&, std::span<const std::int64_t>, std::span<float>);
template void gather_inputs(const Dataset&, std::span<const std::int64_t>, std::span<double>);

void gather_integers(const Dataset& dataset, std::span<const std::int64_t> indices, std::span<std::int32_t> out) {
  gather_whole(dataset, dataset.inputs, dataset.image_shape, indices, out);
}

template <class T>
void gather_other(const Dataset& dataset, const OtherInput& input, std::span<const std::int64_t> indices,
                  std::span<T> out) {
  if constexpr (std::is_same_v<T, std::int32_t>) {
    gather_whole(dataset, input.rows, input.shape, indices, out);
  } else {
    gather_rows(dataset, input.rows, input.shape, indices, out);
  }
}
template void gather_other(const Dataset&, const OtherInput&, std::span<const std::int64_t>, std::span<float>);
template void gather_other(const Dataset&, const OtherInput&, std::span<const std::int64_t>, std::span<double>);
template void gather_other(const Dataset&, const OtherInput&, std::span<const std::int64_t>, std::span<std::int32_t>);

void gather_labels(const Dataset& dataset, std::span<const std::int64_t> indices, std::span<std::int32_t> out) {
  const Index places = dataset.label_shape.size();
  check_gather("gather_labels", dataset, indices, places, out.size());
  if (std::ssize(dataset.labels) != dataset.count() * places) {
    throw ArgumentError(fmt::format("data set {} has {} labels, expected {} for each of {} examples", dataset.name,
                                    dataset.labels.size(), places, dataset.count()));
  }
  auto to = out.begin();
  for (const std::int64_t index : indices) to = std::copy_n(dataset.labels.begin() + index * places, places, to);
}

void gather_targets(const Dataset& dataset, std::span<const std::int64_t> indices, std::span<float> out) {
  check_gather("gather_targets", dataset, indices, dataset.outputs, out.size());
  for (std::size_t row = 0; row < indices.size(); ++row) {
    std::copy_n(dataset.targets.begin() + indices[row] * dataset.outputs, dataset.outputs,
                out.begin() + static_cast<std::ptrdiff_t>(row) * dataset.outputs);
  }
}

}  // namespace slopewise
