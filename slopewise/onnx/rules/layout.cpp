// Operators that give the same entries other axes: reshape, squeeze, transpose, expand.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "slopewise/onnx/moves.hpp"
#include "slopewise/onnx/rules.hpp"
#include "slopewise/program/ops.hpp"

namespace slopewise {
namespace {

void identity(ImportStep& step) {
  step.give(step.value(0));
}

// At inference nothing is dropped; the mask, if asked for, keeps everything.
void dropout(ImportStep& step) {
  if (step.has(2) && step.number(2, "training_mode") != 0 && (!step.has(1) || step.number(1, "ratio") != 0)) {
    step.refuse("dropout while training; export the model in evaluation mode");
  }
  step.give(step.value(0));
  if (step.wants(1)) {
    const Extents dims = step.dims(0);
    if (count_of(dims) > kMostMoved) step.refuse("a mask of more entries than are made beforehand");
    step.give(Known{OnnxType::kBoolean, dims, std::vector<double>(number_of(count_of(dims)), 1.0)}, 1);
  }
}

// Where the target names no axis for the examples although the file fixes their number: an axis that starts where
// theirs started. Best is one that counts nothing else; then the same one, but for the last, which holds what an
// example is made of: (time, 1, features) seen as (time, features) has the examples beside the time.
void find_batch(ImportStep& step, const Extents& before, Extents& dims) {
  const Index fixed = step.importer().settings().batch, batch = batch_axis(before);
  const Index above = entries_above(before, batch);
  Index found = -1, product = 1;
  int best = 0;
  for (Index axis = 0; axis < static_cast<Index>(dims.size()); ++axis) {
    const Index count = dims[number_of(axis)].count;
    Index unit = 0;  // entries of such an axis for the examples alone
    const bool fits = product > 0 && above > 0 && above % product == 0 &&
                      !__builtin_mul_overflow(fixed, above / product, &unit) && count % unit == 0;
    const bool last = axis > 0 && axis + 1 == static_cast<Index>(dims.size());
    const int quality = !fits                                ? 0
                        : count == fixed && product == above ? (axis == batch ? 4 : 3)
                        : axis == batch && !last             ? 2
                                                             : 1;
    if (quality > best) {
      found = axis;
      best = quality;
    }
    product *= count;
  }
  if (found < 0) {
    step.refuse(fmt::format("seeing {} as {} would mix examples, of which the file has {}", to_string(before),
                            to_string(dims), fixed));
  }
  dims[number_of(found)].count /= fixed;
  dims[number_of(found)].batch = true;
}

void reshape_rule(ImportStep& step) {
  const Extents before = step.dims(0);
  Known target;
  if (const auto attribute = step.integers("shape")) {
    target.dims = {{static_cast<Index>(attribute->size())}};
    target.numbers.assign(attribute->begin(), attribute->end());
  } else {
    target = step.known(1, "the shape");
  }
  const bool copies = step.integer("allowzero", 0) == 0;
  const Index fixed = step.importer().settings().batch;
  const bool batched = batch_axis(before) >= 0;
  Extents dims;
  Index unknown = -1, product = 1;
  bool counts = false;
  for (std::size_t i = 0; i < target.numbers.size(); ++i) {
    const auto count = static_cast<Index>(target.numbers[i]);
    if (count == 0 && copies) {
      if (i >= before.size()) step.refuse(fmt::format("the shape copies axis {} of {}", i, to_string(before)));
      dims.push_back(before[i]);
    } else if (count == -1) {
      if (unknown >= 0) step.refuse("the shape leaves two axes open");
      unknown = static_cast<Index>(i);
      dims.push_back({1});
      continue;
    } else {
      if (count < 0) step.refuse(fmt::format("the shape has the extent {}", count));
      dims.push_back({count, target.counts_batch(i)});
    }
    counts = counts || dims.back().batch;
    if (__builtin_mul_overflow(product, dims.back().count, &product))
      step.refuse("the shape has more entries than can be counted");
  }
  const bool literal = batched && !counts && fixed > 0;
  Index total = count_of(before);
  if (literal && __builtin_mul_overflow(total, fixed, &total)) step.refuse("more entries than can be counted");
  if (unknown >= 0) {
    if (product == 0 || total % product != 0)
      step.refuse(fmt::format("{} cannot be seen as {}", to_string(before), to_string(dims)));
    dims[number_of(unknown)] = {total / product, batched && !counts && !literal};
  }
  if (literal) find_batch(step, before, dims);
  step.give(reshaped(step, step.value(0), dims));
}

void flatten_rule(ImportStep& step) {
  const Extents before = step.dims(0);
  const Index axis = step.integer("axis", 1);
  const Index cut = axis == static_cast<Index>(before.size()) ? axis : axis_of(axis, before.size());
  if (cut < 0) step.refuse(fmt::format("axis {}: expected one of {}", axis, to_string(before)));
  const Index batch = batch_axis(before);
  const Extents dims{{count_of({before.begin(), before.begin() + cut}), batch >= 0 && batch < cut},
                     {count_of({before.begin() + cut, before.end()}), batch >= cut}};
  step.give(reshaped(step, step.value(0), dims));
}

void squeeze_rule(ImportStep& step) {
  const Extents before = step.dims(0);
  std::vector<Index> axes;
  if (const auto given = step.axes(1, before.size())) {
    axes = *given;
  } else {
    for (std::size_t i = 0; i < before.size(); ++i) {
      if (before[i].unit()) axes.push_back(static_cast<Index>(i));
    }
  }
  Extents dims;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (std::find(axes.begin(), axes.end(), static_cast<Index>(i)) == axes.end()) {
      dims.push_back(before[i]);
    } else if (!before[i].unit()) {
      step.refuse(fmt::format("axis {} of {} has more than one entry", i, to_string(before)));
    }
  }
  const auto* placed = std::get_if<Placed>(&step.value(0));
  if (!placed || placed->integer) return step.give(reshaped(step, step.value(0), dims));
  std::vector<Index> kept, renamed;
  for (const Index axis : placed->axes) {
    if (std::find(axes.begin(), axes.end(), axis) != axes.end()) continue;
    kept.push_back(axis);
    renamed.push_back(axis - std::count_if(axes.begin(), axes.end(), [&](Index gone) { return gone < axis; }));
  }
  step.give(Placed{arrange(*placed, kept), dims, renamed});
}

void unsqueeze_rule(ImportStep& step) {
  const Extents before = step.dims(0);
  std::size_t more = 0;
  if (const auto attribute = step.integers("axes")) {
    more = attribute->size();
  } else {
    more = step.integers(1, "axes").size();
  }
  const auto axes = step.axes(1, before.size() + more);
  Extents dims;
  std::vector<Index> renamed;
  for (Index axis = 0; axis < static_cast<Index>(before.size() + more); ++axis) {
    if (std::find(axes->begin(), axes->end(), axis) != axes->end()) {
      dims.push_back({1});
    } else {
      dims.push_back(before[renamed.size()]);
      renamed.push_back(axis);
    }
  }
  const auto* placed = std::get_if<Placed>(&step.value(0));
  if (!placed || placed->integer) return step.give(reshaped(step, step.value(0), dims));
  std::vector<Index> own;
  for (const Index axis : placed->axes) own.push_back(renamed[number_of(axis)]);
  step.give(Placed{placed->node, dims, own});
}

void transpose_rule(ImportStep& step) {
  const Extents before = step.dims(0);
  std::vector<Index> order(before.size());
  std::iota(order.rbegin(), order.rend(), 0);
  if (const auto given = step.integers("perm")) order = *given;
  std::vector<Index> sorted = order, all(before.size());
  std::sort(sorted.begin(), sorted.end());
  std::iota(all.begin(), all.end(), 0);
  if (sorted != all)
    step.refuse(fmt::format("perm ({}) does not name each axis of {} once", fmt::join(order, ", "), to_string(before)));
  Extents dims;
  for (const Index axis : order) dims.push_back(before[number_of(axis)]);
  const OnnxValue from = read(step, step.value(0));
  if (const auto* placed = std::get_if<Placed>(&from); placed && !placed->integer) {
    std::vector<Index> axes;
    for (const Index axis : placed->axes) axes.push_back(std::find(order.begin(), order.end(), axis) - order.begin());
    return step.give(Placed{placed->node, dims, axes});
  }
  step.give(moved(step, from, make_move(dims, [&](const std::vector<Index>& at) {
                    std::vector<Index> source(at.size());
                    for (std::size_t j = 0; j < at.size(); ++j) source[number_of(order[j])] = at[j];
                    return flat(before, source);
                  })));
}

void expand_rule(ImportStep& step) {
  const Extents before = step.dims(0);
  const Known target = step.known(1, "the shape");
  const std::size_t rank = std::max(before.size(), target.numbers.size());
  Extents dims(rank), own(rank);
  for (std::size_t i = 0; i < rank; ++i) {
    if (i + before.size() >= rank) own[i] = before[i + before.size() - rank];
    Extent wanted;
    if (i + target.numbers.size() >= rank) {
      const std::size_t at = i + target.numbers.size() - rank;
      wanted = {static_cast<Index>(target.numbers[at]), target.counts_batch(at)};
    }
    const Index fixed = step.importer().settings().batch;
    if (own[i].batch && !wanted.batch && fixed > 0 && wanted.count % fixed == 0 && wanted.count / fixed == own[i].count)
      wanted = own[i];
    if (!own[i].unit() && !wanted.unit() && own[i] != wanted)
      step.refuse(fmt::format("{} does not stretch to {}", to_string(before), to_string(Extents{wanted})));
    dims[i] = own[i].unit() ? wanted : own[i];
  }
  const OnnxValue from = read(step, step.value(0));
  if (const auto* placed = std::get_if<Placed>(&from); placed && count_of(dims) == count_of(own) && !placed->integer) {
    const Index more = static_cast<Index>(rank - before.size());
    Placed same{placed->node, dims, {}};
    for (const Index axis : placed->axes) same.axes.push_back(axis + more);
    // An axis of one entry that now counts examples has none in a row.
    std::vector<Index> kept;
    for (const Index axis : same.axes) {
      if (dims[number_of(axis)] != Extent{1, true}) kept.push_back(axis);
    }
    return step.give(Placed{arrange(same, kept), dims, kept});
  }
  step.give(moved(step, from, make_move(dims, [&](std::vector<Index> at) {
                    for (std::size_t i = 0; i < rank; ++i) {
                      if (own[i].count == 1) at[i] = 0;
                    }
                    return flat(own, at);
                  })));
}

constexpr OnnxRule kLayout[] = {{"Dropout", dropout, "inference: nothing is dropped"},
                                {"Expand", expand_rule, "shape known beforehand"},
                                {"Flatten", flatten_rule},
                                {"Identity", identity},
                                {"Reshape", reshape_rule, "shape known beforehand but for the number of examples"},
                                {"Squeeze", squeeze_rule},
                                {"Transpose", transpose_rule},
                                {"Unsqueeze", unsqueeze_rule}};

}  // namespace

std::span<const OnnxRule> layout_rules() {
  return kLayout;
}

}  // namespace slopewise
