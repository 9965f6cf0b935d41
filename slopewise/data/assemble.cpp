// From what the files of a data set hold to the two sets they make.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "slopewise/base/error.hpp"
#include "slopewise/base/philox.hpp"
#include "slopewise/data/formats.hpp"
#include "slopewise/data/layout.hpp"
#include "slopewise/data/scaling.hpp"
#include "slopewise/data/targets.hpp"

namespace slopewise::detail {
namespace {

constexpr std::uint64_t kSplitPurpose = 0x73706C6974;  // "split"

// Inputs and their shape, without targets.
Dataset set_of(const RawSet& raw, const LoadOptions& options, const std::string& name) {
  const ImageLayout layout =
      find_layout(raw.shape, raw.layout && options.layout != Layout::kTable ? raw.layout : options.layout, raw.where);
  if (raw.inputs.count() == 0) throw FileError(fmt::format("{}: expected examples, found none", raw.where));
  if (options.like && layout.image_shape != options.like->image_shape) {
    throw FileError(fmt::format("{}: examples are {}, expected {}, as the network was trained on", raw.where,
                                layout.image_shape.to_string(), options.like->image_shape.to_string()));
  }
  if (options.like && !raw.column_names.empty() && !options.like->column_names.empty() &&
      raw.column_names != options.like->column_names) {
    throw FileError(fmt::format("{}: the columns are {}, expected {}, as the network was trained on", raw.where,
                                fmt::join(raw.column_names, ", "), fmt::join(options.like->column_names, ", ")));
  }
  return {.name = name,
          .image_shape = layout.image_shape,
          .inputs = raw.inputs,
          .channels_first = layout.channels_first,
          .column_names = raw.column_names};
}

// The examples of a set at these rows.
Dataset part_of(const Dataset& all, std::vector<Index> rows) {
  Dataset part = all;
  part.labels.clear();
  if (!all.labels.empty()) {
    for (const Index row : rows) part.labels.push_back(all.labels[static_cast<std::size_t>(row)]);
  }
  part.selection = std::move(rows);
  return part;
}

// The share of `count` examples that a seeded shuffle has first, and the rest, each in the file's order.
std::pair<std::vector<Index>, std::vector<Index>> split_rows(Index count, double share, std::uint64_t seed,
                                                             const std::string& where) {
  const auto tested = static_cast<Index>(std::llround(share * static_cast<double>(count)));
  if (tested < 1 || tested >= count) {
    throw ArgumentError(
        fmt::format("--test-share {}: leaves {} of the {} examples of {} to test on and {} to train on, expected at "
                    "least 1 of each",
                    share, tested, count, where, count - tested));
  }
  std::vector<Index> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  RandomStream random(derive_seed(seed, kSplitPurpose), 0);
  for (Index left = count; left > 1; --left)
    std::swap(order[static_cast<std::size_t>(left - 1)], order[random.below(static_cast<std::uint32_t>(left))]);
  const auto end = order.begin() + tested;
  std::sort(order.begin(), end);
  std::sort(end, order.end());
  return {{end, order.end()}, {order.begin(), end}};
}

void require_same_shape(const RawSplit& raw, const Dataset& train, const Dataset& test) {
  if (train.image_shape != test.image_shape || train.channels_first != test.channels_first) {
    throw FileError(fmt::format("{}: train images are {} but test images, of {}, are {}", raw.train.where,
                                raw.train.shape.to_string(), raw.test->where, raw.test->shape.to_string()));
  }
  if (train.column_names != test.column_names) {
    throw FileError(fmt::format("{}: the columns are {}, expected {} as in {}", raw.test->where,
                                fmt::join(test.column_names, ", "), fmt::join(train.column_names, ", "),
                                raw.train.where));
  }
}

const RawTargets* targets_of(const RawSet& raw) {
  return raw.targets ? &*raw.targets : nullptr;
}

}  // namespace

RawTargets raw_targets(const Array& array) {
  const Shape& shape = array.shape;
  if (shape.rank() != 1 && shape.rank() != 2) {
    throw FileError(fmt::format("{}: expected labels of shape (count) or (count, outputs), found shape {}", array.where,
                                shape.to_string()));
  }
  RawTargets targets{
      .where = array.where, .outputs = shape.rank() == 2 ? shape[1] : 1, .floating = is_floating(array.rows.type())};
  if (targets.outputs < 1) throw FileError(fmt::format("{}: found shape {}", array.where, shape.to_string()));
  std::vector<Index> all(static_cast<std::size_t>(shape[0]));
  std::iota(all.begin(), all.end(), 0);
  targets.numbers.resize(static_cast<std::size_t>(shape.size()));
  array.rows.read<double>(all, targets.numbers);
  return targets;
}

DataSplit assemble(RawSplit raw, const LoadOptions& options, const std::string& name) {
  DataSplit split{.format = raw.format};
  split.train = set_of(raw.train, options, name);
  SetTargets train{&split.train, targets_of(raw.train), raw.train.inputs.count()};
  SetTargets test{&split.test, train.raw, train.count};
  const bool own_test = raw.test.has_value();
  if (own_test) {
    if (options.test_share > 0)
      throw ArgumentError(fmt::format("--test-share: expected data without a test set, found one in {}", name));
    split.test = set_of(*raw.test, options, name);
    test = {&split.test, targets_of(*raw.test), raw.test->inputs.count()};
    require_same_shape(raw, split.train, split.test);
    set_targets(std::vector{train, test}, raw.classes, raw.class_names, options);
  } else {
    set_targets(std::vector{train}, raw.classes, raw.class_names, options);
    const Dataset all = split.train;
    if (options.test_share > 0) {
      auto [trained, tested] = split_rows(train.count, options.test_share, options.seed, name);
      split.train = part_of(all, std::move(trained));
      split.test = part_of(all, std::move(tested));
    } else if (options.like) {
      split.test = all;
    } else {
      throw ArgumentError(fmt::format(
          "{}: expected training and test examples, found one set: --test-share 0.2 sets a fifth of it apart", name));
    }
  }
  if (split.train.outputs > 0) {
    const TargetMoments moments =
        options.like ? TargetMoments{options.like->target_mean, options.like->target_deviation} : target_moments(train);
    if (std::ssize(moments.mean) != split.train.outputs) {
      throw FileError(fmt::format("{}: {} numbers to predict an example, expected {}, as the network was trained on",
                                  name, split.train.outputs, moments.mean.size()));
    }
    for (const SetTargets& one : {train, test}) fill_targets(one, moments.mean, moments.deviation);
  }
  const Scaling scaling = options.like ? options.like->scaling
                                       : choose_scaling(split.train, raw.train.pixels, options.scale, raw.train.where);
  split.train.scaling = split.test.scaling = scaling;
  if (options.like) require_finite(split.train, raw.train.where);
  if (own_test) require_finite(split.test, raw.test->where);
  return split;
}

}  // namespace slopewise::detail
