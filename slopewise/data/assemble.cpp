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

std::string wanted_by(const LoadOptions& options) {
  return options.trained ? "as the network was trained on" : "as the model reads";
}

ImageLayout layout_of(const RawSet& raw, const LoadOptions& options) {
  const bool table = options.layout == Layout::kTable;
  if (raw.layout && options.layout && !table) {
    throw ArgumentError(
        fmt::format("--layout: expected auto or table for {}, whose format says where channels are, found {}",
                    raw.where, *options.layout == Layout::kChannelsFirst ? "nchw" : "nhwc"));
  }
  const std::optional<Layout> said = raw.layout && !table ? raw.layout : options.layout;
  if (!options.like) return find_layout(raw.shape, said, raw.where);
  const Shape& wanted = options.like->image_shape;
  if (!said) {
    if (const auto evident = layout_for(*options.like, raw.shape)) return *evident;
  }
  const auto refuse = [&](const Shape& found) {
    const std::string file = wanted.rank() == 3 && wanted[2] > 1
                                 ? fmt::format(" or {}", Shape{wanted[2], wanted[0], wanted[1]}.to_string())
                                 : "";
    throw FileError(fmt::format("{}: examples are {}, expected {}{}, {}", raw.where, found.to_string(),
                                wanted.to_string(), file, wanted_by(options)));
  };
  if (options.like->integers || (wanted.rank() != 1 && wanted.rank() != 3)) refuse(raw.shape);
  if (raw.shape.size() != wanted.size()) refuse(raw.shape);
  const ImageLayout layout = find_layout(raw.shape, said, raw.where);
  if (layout.image_shape != wanted) refuse(layout.image_shape);
  return layout;
}

void check_others(const RawSet& raw) {
  for (const OtherInput& other : raw.others) {
    if (other.rows.count() != raw.inputs.count()) {
      throw FileError(fmt::format("{}: the input {} has {} examples, expected {}, as many as there are of the first",
                                  raw.where, other.name, other.rows.count(), raw.inputs.count()));
    }
  }
}

// Inputs and their shape, without targets.
Dataset set_of(const RawSet& raw, const LoadOptions& options, const std::string& name) {
  if (raw.inputs.count() == 0) throw FileError(fmt::format("{}: expected examples, found none", raw.where));
  if (options.like && !raw.column_names.empty() && !options.like->column_names.empty() &&
      raw.column_names != options.like->column_names) {
    throw FileError(fmt::format("{}: the columns are {}, expected {}, as the network was trained on", raw.where,
                                fmt::join(raw.column_names, ", "), fmt::join(options.like->column_names, ", ")));
  }
  const ImageLayout layout = layout_of(raw, options);
  check_others(raw);
  Dataset set{.name = name,
              .image_shape = layout.image_shape,
              .inputs = raw.inputs,
              .others = raw.others,
              .channels_first = layout.channels_first,
              .column_names = raw.column_names};
  if (options.like) {
    set.input_name = options.like->input_name;
    set.integers = options.like->integers;
    set.label_shape = options.like->label_shape;
    set.ignored = options.like->ignored;
  }
  return set;
}

// The examples of a set at these rows.
Dataset part_of(const Dataset& all, std::vector<Index> rows) {
  Dataset part = all;
  part.labels.clear();
  if (!all.labels.empty()) {
    const Index places = all.label_shape.size();
    for (const Index row : rows) {
      const auto first = all.labels.begin() + row * places;
      part.labels.insert(part.labels.end(), first, first + places);
    }
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
    std::swap(order[left - 1], order[random.below(static_cast<std::uint32_t>(left))]);
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

RawTargets raw_targets(const Array& array, const Dataset* like) {
  const Shape& shape = array.shape;
  if (shape.rank() < 1 || (shape.rank() > 2 && !like)) {
    throw FileError(fmt::format("{}: expected labels of shape (count) or (count, outputs), found shape {}", array.where,
                                shape.to_string()));
  }
  RawTargets targets{.where = array.where,
                     .outputs = Shape(std::vector(shape.begin() + 1, shape.end())).size(),
                     .floating = is_floating(array.rows.type())};
  if (targets.outputs < 1) throw FileError(fmt::format("{}: found shape {}", array.where, shape.to_string()));
  std::vector<Index> all(static_cast<std::size_t>(shape[0]));
  std::iota(all.begin(), all.end(), 0);
  targets.numbers.resize(static_cast<std::size_t>(shape.size()));
  array.rows.read<double>(all, targets.numbers);
  return targets;
}

RawTargets raw_targets(NpyReader array, const Dataset* like) {
  if (!array.is_text()) return raw_targets(array.array(), like);
  NpyWords words = array.words(kMostClasses);
  return {.where = array.where(), .numbers = std::move(words.places), .names = std::move(words.names)};
}

DataSplit assemble(RawSplit raw, const LoadOptions& options, const std::string& name) {
  DataSplit split{.format = raw.format, .left_out = raw.left_out};
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
    } else if (options.judged) {
      split.test = all;
    } else {
      throw ArgumentError(fmt::format(
          "{}: expected training and test examples, found one set: --test-share 0.2 sets a fifth of it apart", name));
    }
  }
  const bool own_moments = !options.like || !options.trained;
  if (split.train.outputs > 0) {
    const auto outputs = static_cast<std::size_t>(split.train.outputs);
    const TargetMoments moments = !options.like ? target_moments(train)
                                  : options.trained
                                      ? TargetMoments{options.like->target_mean, options.like->target_deviation}
                                      : TargetMoments{std::vector<double>(outputs, 0), std::vector<double>(outputs, 1)};
    if (std::ssize(moments.mean) != split.train.outputs) {
      throw FileError(fmt::format("{}: {} numbers to predict an example, expected {}, as the network was trained on",
                                  name, split.train.outputs, moments.mean.size()));
    }
    for (const SetTargets& one : {train, test}) fill_targets(one, moments.mean, moments.deviation);
  }
  std::optional<Scaling::Rule> rule = options.scale;
  if (split.train.integers && rule && *rule != Scaling::Rule::kNone)
    throw ArgumentError(fmt::format("--scale: expected numbers, found that the model reads {} as integers", name));
  if (options.like && !options.trained && !rule) rule = raw.train.pixels ? Scaling::Rule::kBytes : Scaling::Rule::kNone;
  const Scaling scaling = split.train.integers ? Scaling{.rule = Scaling::Rule::kNone}
                          : own_moments        ? choose_scaling(split.train, raw.train.pixels, rule, raw.train.where)
                                               : options.like->scaling;
  split.train.scaling = split.test.scaling = scaling;
  for (const auto& [set, where] : {std::pair(&split.train, raw.train.where),
                                   std::pair(&split.test, own_test ? raw.test->where : raw.train.where)}) {
    require_whole(*set, where);
    require_finite_others(*set, where);
  }
  if (!own_moments || split.train.integers) require_finite(split.train, raw.train.where);
  if (own_test) require_finite(split.test, raw.test->where);
  return split;
}

}  // namespace slopewise::detail
