// Operators that take, join and place entries: slice, split, concat, gather, pad, tile.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "slopewise/onnx/moves.hpp"
#include "slopewise/onnx/rules.hpp"
#include "slopewise/program/ops.hpp"

namespace slopewise {
namespace {

void concat_rule(ImportStep& step) {
  std::vector<OnnxValue> parts;
  for (std::size_t i = 0; i < step.inputs(); ++i) parts.push_back(step.value(i));
  const Index axis = step.axis("axis", step.opset() < 4 ? 1 : 0, step.dims(0).size());
  step.give(concatenated(step, parts, axis));
}

void split_rule(ImportStep& step) {
  const Extents before = step.dims(0);
  const Index axis = step.axis("axis", 0, before.size());
  step.require_one_example(before, axis);
  const Index whole = before[number_of(axis)].count, parts = static_cast<Index>(step.node().outputs.size());
  std::vector<Index> sizes;
  if (const auto attribute = step.integers("split")) {
    sizes = *attribute;
  } else if (step.has(1)) {
    sizes = step.integers(1, "split");
  } else {
    const Index size = (whole + parts - 1) / parts;
    for (Index at = 0; at < parts; ++at) sizes.push_back(std::clamp<Index>(whole - at * size, 0, size));
  }
  if (std::accumulate(sizes.begin(), sizes.end(), Index{0}) != whole || static_cast<Index>(sizes.size()) != parts ||
      std::any_of(sizes.begin(), sizes.end(), [](Index size) { return size < 0; })) {
    step.refuse(fmt::format("parts of ({}) entries of the {} of axis {}", fmt::join(sizes, ", "), whole, axis));
  }
  Index begin = 0;
  for (std::size_t p = 0; p < sizes.size(); ++p) {
    if (step.wants(p)) step.give(sliced(step, step.value(0), axis, begin, begin + sizes[p]), p);
    begin += sizes[p];
  }
}

void slice_rule(ImportStep& step) {
  const Extents before = step.dims(0);
  const auto words = [&](const char* name, std::size_t input) -> std::optional<Known> {
    if (step.opset() < 10) {
      const auto given = step.integers(name);
      if (!given) return std::nullopt;
      return Known{.dims = {{static_cast<Index>(given->size())}}, .numbers = {given->begin(), given->end()}};
    }
    if (!step.has(input)) return std::nullopt;
    return step.known(input, name);
  };
  const auto starts = words("starts", 1), ends = words("ends", 2), axes = words("axes", 3), steps = words("steps", 4);
  if (!starts || !ends || starts->numbers.size() != ends->numbers.size())
    step.refuse("expected as many starts as ends");
  for (const auto* named : {&axes, &steps}) {
    if (*named && (*named)->numbers.size() != starts->numbers.size())
      step.refuse("expected as many axes and steps as starts");
  }
  std::vector<bool> seen(before.size(), false);
  OnnxValue value = step.value(0);
  for (std::size_t i = 0; i < starts->numbers.size(); ++i) {
    const Index named = axes ? static_cast<Index>(axes->numbers.at(i)) : static_cast<Index>(i);
    const Index axis = axis_of(named, before.size());
    if (axis < 0) step.refuse(fmt::format("axis {}: expected one of {}", named, to_string(before)));
    if (seen[number_of(axis)]) step.refuse(fmt::format("axis {} is named twice", named));
    seen[number_of(axis)] = true;
    const Index stride = steps ? static_cast<Index>(std::clamp(steps->numbers.at(i), -0x1p61, 0x1p61)) : 1;
    if (stride == 0) step.refuse("a step of 0");
    const Extent extent = before[number_of(axis)];
    const auto limit = [](double number) { return static_cast<Index>(std::clamp(number, -0x1p62, 0x1p62)); };
    Index begin = limit(starts->numbers[i]), end = limit(ends->numbers[i]);
    if (extent.batch) {
      const Index fixed = step.importer().settings().batch;
      const bool to_the_end = ends->counts_batch(i) ? end >= extent.count
                              : fixed > 0           ? end / fixed >= extent.count
                                                    : end >= Index{1} << 30;
      if (begin != 0 || stride != 1 || !to_the_end) step.require_one_example(before, axis);
      continue;
    }
    if (starts->counts_batch(i) || ends->counts_batch(i))
      step.refuse("starts or ends depend on the number of examples");
    if (begin < 0) begin += extent.count;
    if (end < 0) end += extent.count;
    if (stride > 0) {
      begin = std::clamp<Index>(begin, 0, extent.count);
      end = std::clamp<Index>(end, begin, extent.count);
    } else {
      begin = std::clamp<Index>(begin, -1, extent.count - 1);
      end = std::clamp<Index>(end, -1, begin);
    }
    if (stride == 1) {
      if (begin != 0 || end != extent.count) value = sliced(step, value, axis, begin, end);
      continue;
    }
    const OnnxValue from = read(step, value);
    const Extents own = std::holds_alternative<Known>(from) ? std::get<Known>(from).dims : std::get<Placed>(from).dims;
    Extents dims = own;
    const Index span = stride > 0 ? end - begin : begin - end, size = stride > 0 ? stride : -stride;
    dims[number_of(axis)].count = (span + size - 1) / size;
    value = moved(step, from, make_move(dims, [&](std::vector<Index> at) {
                    at[number_of(axis)] = begin + stride * at[number_of(axis)];
                    return flat(own, at);
                  }));
  }
  step.give(read(step, value));
}

// An index that counts from the end where it is negative.
Index counted(ImportStep& step, double index, Index count) {
  const auto whole = static_cast<Index>(index);
  if (whole < -count || whole >= count) step.refuse(fmt::format("index {} into an axis of {} entries", whole, count));
  return whole < 0 ? whole + count : whole;
}

void gather_rule(ImportStep& step) {
  step.give(gathered(step, 0, 1, step.axis("axis", 0, step.dims(0).size())));
}

void gather_elements_rule(ImportStep& step) {
  const Extents before = step.dims(0);
  const Known index = step.known(1, "indices");
  const Index axis = step.axis("axis", 0, before.size());
  step.require_one_example(before, axis);
  if (index.dims.size() != before.size()) step.refuse("expected as many axes of indices as of data");
  Extents dims = index.dims;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (before[i].batch) dims[i] = before[i];
    if (static_cast<Index>(i) != axis && dims[i].count > before[i].count)
      step.refuse("more indices along another axis than data");
  }
  if (count_of(dims) != static_cast<Index>(index.numbers.size())) step.refuse("indices differ from example to example");
  step.give(moved(step, 0, make_move(dims, [&](std::vector<Index> at) {
                    at[number_of(axis)] =
                        counted(step, index.numbers[number_of(flat(dims, at))], before[number_of(axis)].count);
                    return flat(before, at);
                  })));
}

void gather_nd_rule(ImportStep& step) {
  const Extents before = step.dims(0);
  const Known index = step.known(1, "indices");
  if (step.integer("batch_dims", 0) != 0 || batch_axis(before) >= 0)
    step.refuse("taken without batch_dims and for data that all examples share");
  if (index.dims.empty()) step.refuse("expected rows of indices, found a number");
  const Index depth = index.dims.back().count;
  if (depth < 1 || depth > static_cast<Index>(before.size()))
    step.refuse(fmt::format("{} indices into {}", depth, to_string(before)));
  Extents dims(index.dims.begin(), index.dims.end() - 1);
  const std::size_t outer = dims.size();
  dims.insert(dims.end(), before.begin() + depth, before.end());
  step.give(moved(step, 0, make_move(dims, [&](const std::vector<Index>& at) {
                    Index tuple = 0;
                    for (std::size_t j = 0; j < outer; ++j) tuple = tuple * index.dims[j].count + at[j];
                    std::vector<Index> source;
                    for (Index j = 0; j < depth; ++j)
                      source.push_back(
                          counted(step, index.numbers[number_of(tuple * depth + j)], before[number_of(j)].count));
                    source.insert(source.end(), at.begin() + static_cast<Index>(outer), at.end());
                    return flat(before, source);
                  })));
}

void require_no_reduction(const ImportStep& step) {
  const std::string reduction = step.text("reduction", "none");
  if (reduction != "none") step.refuse(fmt::format("reduction '{}': expected none", reduction));
}

// Rows of the data of which some are written over: row r is row source[r] of the data with the updates after them.
OnnxValue written_over(ImportStep& step, const OnnxValue& data, const OnnxValue& updates, const Extents& row,
                       const std::vector<Index>& source, Index writes) {
  Extents kept = row, more = row;
  kept.insert(kept.begin(), Extent{static_cast<Index>(source.size())});
  more.insert(more.begin(), Extent{writes});
  const OnnxValue joined =
      concatenated(step, {reshaped(step, data, kept), reshaped(step, updates, std::move(more))}, 0);
  return moved(step, joined, make_move(kept, [&](std::vector<Index> at) {
                 at[0] = source[number_of(at[0])];
                 return flat(kept, at);
               }));
}

// Rows of the data are written over; of two updates of one row the later counts.
void scatter_nd_rule(ImportStep& step) {
  require_no_reduction(step);
  const Extents before = step.dims(0);
  const Known index = step.known(1, "indices");
  if (index.dims.empty()) step.refuse("expected rows of indices, found a number");
  const Index depth = index.dims.back().count;
  if (depth < 1 || depth > static_cast<Index>(before.size()))
    step.refuse(fmt::format("{} indices into {}", depth, to_string(before)));
  for (Index axis = 0; axis < depth; ++axis) step.require_one_example(before, axis);
  Extents expected(index.dims.begin(), index.dims.end() - 1);
  const Index writes = count_of(expected);
  expected.insert(expected.end(), before.begin() + depth, before.end());
  if (step.dims(2) != expected || writes * depth != static_cast<Index>(index.numbers.size()))
    step.refuse(fmt::format("expected updates {}, found {}", to_string(expected), to_string(step.dims(2))));

  const Extents outer(before.begin(), before.begin() + depth);
  std::vector<Index> source(number_of(count_of(outer)));
  std::iota(source.begin(), source.end(), 0);
  for (Index write = 0; write < writes; ++write) {
    std::vector<Index> at;
    for (Index axis = 0; axis < depth; ++axis)
      at.push_back(counted(step, index.numbers[number_of(write * depth + axis)], before[number_of(axis)].count));
    source[number_of(flat(outer, at))] = std::ssize(source) + write;
  }
  step.give(reshaped(
      step, written_over(step, step.value(0), step.value(2), {before.begin() + depth, before.end()}, source, writes),
      before));
}

void scatter_elements_rule(ImportStep& step) {
  require_no_reduction(step);
  const Extents before = step.dims(0), updates = step.dims(2);
  const Known index = step.known(1, "indices");
  if (batch_axis(before) >= 0 || batch_axis(updates) >= 0)
    step.refuse("taken for data and updates that all examples share");
  const Index axis = step.axis("axis", 0, before.size());
  if (index.dims != updates || updates.size() != before.size())
    step.refuse(fmt::format("expected updates and indices of one shape and as many axes as the data, found {} and {}",
                            to_string(updates), to_string(index.dims)));
  std::vector<Index> source(number_of(count_of(before)));
  std::iota(source.begin(), source.end(), 0);
  Index write = 0;
  make_move(updates, [&](std::vector<Index> at) -> Index {
    for (std::size_t i = 0; i < at.size(); ++i) {
      if (static_cast<Index>(i) != axis && at[i] >= before[i].count)
        step.refuse("more updates along another axis than data");
    }
    at[number_of(axis)] = counted(step, index.numbers[number_of(write)], before[number_of(axis)].count);
    source[number_of(flat(before, at))] = std::ssize(source) + write;
    return write++;
  });
  step.give(reshaped(step, written_over(step, step.value(0), step.value(2), {}, source, write), before));
}

void tile_rule(ImportStep& step) {
  const Extents before = step.dims(0);
  const Known repeats = step.known(1, "repeats");
  if (repeats.numbers.size() != before.size()) step.refuse("expected one number of repeats an axis");
  Extents dims = before;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    const auto times = static_cast<Index>(repeats.numbers[i]);
    if (repeats.counts_batch(i)) {
      if (before[i].batch || times != 1) step.refuse("repeats depend on the number of examples");
      dims[i].batch = true;
      if (before[i].count != 1) step.refuse("it would repeat entries by the number of examples");
    } else {
      if (times != 1) step.require_one_example(before, static_cast<Index>(i));
      if (times < 0) step.refuse("a negative number of repeats");
      dims[i].count *= times;
    }
  }
  step.give(moved(step, 0, make_move(dims, [&](std::vector<Index> at) {
                    for (std::size_t i = 0; i < at.size(); ++i) at[i] %= std::max<Index>(before[i].count, 1);
                    return flat(before, at);
                  })));
}

void pad_rule(ImportStep& step) {
  const Extents before = step.dims(0);
  const auto rank = static_cast<Index>(before.size());
  const std::string mode = step.text("mode", "constant");
  std::vector<Index> pads;
  double fill = step.number("value", 0.0);
  std::vector<Index> axes(before.size());
  std::iota(axes.begin(), axes.end(), 0);
  if (step.opset() < 11) {
    pads = step.integers(step.opset() < 2 ? "paddings" : "pads").value_or(std::vector<Index>{});
  } else {
    pads = step.integers(1, "pads");
    if (step.has(2)) fill = step.number(2, "the constant value");
    if (step.has(3)) {
      axes = step.integers(3, "axes");
      for (Index& axis : axes) {
        axis = axis_of(axis, before.size());
        if (axis < 0) step.refuse("axes: no such axis");
      }
    }
  }
  if (pads.size() != 2 * axes.size())
    step.refuse(fmt::format("expected {} pads, found {}", 2 * axes.size(), pads.size()));
  std::vector<Index> begins(before.size(), 0);
  Extents dims = before;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const Index low = pads[i], high = pads[i + axes.size()];
    Extent& extent = dims[number_of(axes[i])];
    if (low != 0 || high != 0) step.require_one_example(before, axes[i]);
    begins[number_of(axes[i])] = low;
    extent.count += low + high;
    if (extent.count < 0) step.refuse("pads take away more than there is");
  }
  step.give(moved(step, 0,
                  make_move(dims,
                            [&](std::vector<Index> at) -> Index {
                              for (Index axis = 0; axis < rank; ++axis) {
                                const auto i = number_of(axis);
                                const Index count = before[i].count;
                                Index from = at[i] - begins[i];
                                if (from < 0 || from >= count) {
                                  if (mode == "constant" || count == 0) return -1;
                                  if (mode == "edge") {
                                    from = std::clamp<Index>(from, 0, count - 1);
                                  } else if (mode == "wrap") {
                                    from = ((from % count) + count) % count;
                                  } else if (mode == "reflect") {
                                    const Index period = std::max<Index>(2 * (count - 1), 1);
                                    from = ((from % period) + period) % period;
                                    if (from >= count) from = period - from;
                                  } else {
                                    step.refuse(
                                        fmt::format("mode '{}': expected constant, reflect, edge or wrap", mode));
                                  }
                                }
                                at[i] = from;
                              }
                              return flat(before, at);
                            }),
                  fill));
}

void trilu_rule(ImportStep& step) {
  const Extents dims = step.dims(0);
  if (dims.size() < 2) step.refuse("expected matrices");
  const auto last = static_cast<Index>(dims.size()) - 1;
  step.require_one_example(dims, last);
  step.require_one_example(dims, last - 1);
  const Index k = step.has(1) ? static_cast<Index>(step.number(1, "k")) : 0;
  const bool upper = step.integer("upper", 1) != 0;
  step.give(moved(step, 0, make_move(dims, [&](const std::vector<Index>& at) {
                    const Index ahead = at[number_of(last)] - at[number_of(last - 1)];
                    return (upper ? ahead >= k : ahead <= k) ? flat(dims, at) : Index{-1};
                  })));
}

// Numbers of indices become rows of zeros with a one.
void one_hot_rule(ImportStep& step) {
  const Extents picks = step.dims(0);
  const double classes_given = step.number(1, "depth");
  if (!(classes_given >= 1 && classes_given <= 0x1p24)) step.refuse(fmt::format("a depth of {}", classes_given));
  const auto depth = static_cast<Index>(classes_given);
  const Known values = step.known(2, "values");
  if (values.numbers.size() != 2) step.refuse("expected two values, off and on");
  const Index axis = step.axis("axis", -1, picks.size() + 1);
  Extents dims = picks;
  dims.insert(dims.begin() + axis, {depth});
  const Placed index = step.placed(0);
  std::vector<double> numbers_to(number_of(depth));
  std::iota(numbers_to.begin(), numbers_to.end(), 0.0);
  const Node classes = step.builder().constant({depth}, numbers_to);
  const Node flat_index = reshape(arrange(index), {arrange(index).shape().size(), 1});
  const Node negative = less(flat_index, step.builder().constant({1}, std::vector<double>{0}));
  const Node wrapped = add(flat_index, scale(negative, static_cast<double>(depth)));
  const Node hot = equal(wrapped, classes);
  const Node mapped = add(scale(hot, values.numbers[1] - values.numbers[0]),
                          step.builder().constant({1}, std::vector<double>{values.numbers[0]}));
  Extents last = picks;
  last.push_back({depth});
  const Placed whole = seen_as(mapped, last);
  std::vector<Index> axes;
  for (const Index own : whole.axes) {
    const auto count = static_cast<Index>(picks.size());
    axes.push_back(own == count ? axis : own + (own >= axis ? 1 : 0));
  }
  step.give(Placed{whole.node, dims, axes});
}

constexpr OnnxRule kMoves[] = {
    {"Concat", concat_rule},
    {"Gather", gather_rule, "indices known beforehand; or any, into the first axis of a table that all examples share"},
    {"GatherElements", gather_elements_rule, "indices known beforehand"},
    {"GatherND", gather_nd_rule, "indices known beforehand, no batch_dims"},
    {"OneHot", one_hot_rule, "depth known beforehand"},
    {"Pad", pad_rule, "pads known beforehand"},
    {"Scatter", scatter_elements_rule, "indices known beforehand, data and updates that all examples share"},
    {"ScatterElements", scatter_elements_rule,
     "indices known beforehand, data and updates that all examples share, no reduction"},
    {"ScatterND", scatter_nd_rule, "indices known beforehand, no reduction"},
    {"Slice", slice_rule, "starts, ends, steps known beforehand"},
    {"Split", split_rule},
    {"Tile", tile_rule, "repeats known beforehand"},
    {"Trilu", trilu_rule}};

}  // namespace

OnnxValue gathered(ImportStep& step, std::size_t from, std::size_t indices, Index axis) {
  const Extents before = step.dims(from), picks = step.dims(indices);
  step.require_one_example(before, axis);
  Extents dims(before.begin(), before.begin() + axis);
  dims.insert(dims.end(), picks.begin(), picks.end());
  dims.insert(dims.end(), before.begin() + axis + 1, before.end());
  if (step.is_known(indices)) {
    const Known index = step.known(indices);
    if (std::find(index.batch.begin(), index.batch.end(), true) != index.batch.end())
      step.refuse("indices depend on the number of examples");
    std::vector<Index> entries;
    for (const double each : index.numbers) entries.push_back(counted(step, each, before[number_of(axis)].count));
    if (entries.size() == 1) {
      // One entry of an axis: where it lies.
      const OnnxValue one = sliced(step, step.value(from), axis, entries[0], entries[0] + 1);
      return reshaped(step, one, dims);
    }
    const auto depth = picks.size();
    return moved(step, from, make_move(dims, [&](const std::vector<Index>& at) {
                   Index pick = 0;
                   for (std::size_t j = 0; j < depth; ++j) pick = pick * picks[j].count + at[number_of(axis) + j];
                   std::vector<Index> source(at.begin(), at.begin() + axis);
                   source.push_back(entries[number_of(pick)]);
                   source.insert(source.end(), at.begin() + axis + static_cast<Index>(depth), at.end());
                   return flat(before, source);
                 }));
  }
  if (axis != 0 || batch_axis(before) >= 0) {
    step.refuse(
        "indices depend on what goes into the model; they are taken into the first axis of a table that all examples "
        "share");
  }
  std::vector<Index> order(before.size());
  std::iota(order.begin(), order.end(), 0);
  const Placed table = step.weight(from, order, Role::kEmbedding);
  if (!table.shared()) step.refuse("indices depend on what goes into the model, and so does the table");
  const Index width = count_of({before.begin() + 1, before.end()});
  Node rows = arrange(table, order);
  if (before.size() != 2) rows = reshape(rows, {before[0].count, width});
  const auto* index = std::get_if<Placed>(&step.value(indices));
  if (!index) step.refuse("indices are weights");
  const Node picked = index->integer ? index->node : arrange(*index);
  return seen_as(embedding(picked, rows), dims);
}

std::span<const OnnxRule> move_rules() {
  return kMoves;
}

}  // namespace slopewise
