// Operators that move entries: reshape, transpose, slice, gather, pad and their like.
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

// Where the target names no axis for the examples although the file fixes their number: the axis that starts where
// theirs started, the same one where it may be.
void find_batch(ImportStep& step, const Extents& before, Extents& dims) {
  const Index fixed = step.importer().settings().batch, batch = batch_axis(before);
  const Index above = entries_above(before, batch);
  Index found = -1, product = 1;
  for (Index axis = 0; axis < static_cast<Index>(dims.size()); ++axis) {
    const Index count = dims[number_of(axis)].count;
    const bool fits = product > 0 && above > 0 && above % product == 0 && count % (fixed * (above / product)) == 0;
    if (fits && (found < 0 || axis == batch)) found = axis;
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
  const Index total = count_of(before) * (literal ? fixed : 1);
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
      const bool to_the_end =
          ends->counts_batch(i) ? end >= extent.count : end >= (fixed > 0 ? fixed * extent.count : Index{1} << 30);
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
  const Extents before = step.dims(0), picks = step.dims(1);
  const Index axis = step.axis("axis", 0, before.size());
  step.require_one_example(before, axis);
  Extents dims(before.begin(), before.begin() + axis);
  dims.insert(dims.end(), picks.begin(), picks.end());
  dims.insert(dims.end(), before.begin() + axis + 1, before.end());
  if (step.is_known(1)) {
    const Known index = step.known(1);
    if (std::find(index.batch.begin(), index.batch.end(), true) != index.batch.end())
      step.refuse("indices depend on the number of examples");
    std::vector<Index> from;
    for (const double each : index.numbers) from.push_back(counted(step, each, before[number_of(axis)].count));
    if (from.size() == 1) {
      // One entry of an axis: where it lies.
      const OnnxValue one = sliced(step, step.value(0), axis, from[0], from[0] + 1);
      return step.give(reshaped(step, one, dims));
    }
    const auto depth = picks.size();
    return step.give(moved(step, 0, make_move(dims, [&](const std::vector<Index>& at) {
                             Index pick = 0;
                             for (std::size_t j = 0; j < depth; ++j)
                               pick = pick * picks[j].count + at[number_of(axis) + j];
                             std::vector<Index> source(at.begin(), at.begin() + axis);
                             source.push_back(from[number_of(pick)]);
                             source.insert(source.end(), at.begin() + axis + static_cast<Index>(depth), at.end());
                             return flat(before, source);
                           })));
  }
  if (axis != 0 || batch_axis(before) >= 0) {
    step.refuse(
        "indices depend on what goes into the model; they are taken into the first axis of a table that all examples "
        "share");
  }
  std::vector<Index> order(before.size());
  std::iota(order.begin(), order.end(), 0);
  const Placed table = step.weight(0, order, Role::kEmbedding);
  if (!table.shared()) step.refuse("indices depend on what goes into the model, and so does the table");
  const Index width = count_of({before.begin() + 1, before.end()});
  Node rows = arrange(table, order);
  if (before.size() != 2) rows = reshape(rows, {before[0].count, width});
  const auto* index = std::get_if<Placed>(&step.value(1));
  if (!index || !index->integer)
    step.refuse("indices are calculated from what goes into the model; expected one of its inputs");
  step.give(seen_as(embedding(index->node, rows), dims));
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
    if (own[i].batch && !wanted.batch && fixed > 0 && wanted.count == own[i].count * fixed) wanted = own[i];
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

void depth_to_space_rule(ImportStep& step) {
  const Extents before = step.dims(0);
  if (before.size() != 4) step.refuse("expected (batch, channels, height, width)");
  for (const Index axis : {1, 2, 3}) step.require_one_example(before, axis);
  const Index block = step.integer("blocksize", 0);
  if (block < 1 || block > before[1].count || before[1].count % (block * block) != 0)
    step.refuse("blocksize does not divide the channels");
  const Index depth = before[1].count / (block * block);
  const bool rows = step.text("mode", "DCR") == "DCR";
  const Extents dims{before[0], {depth}, {before[2].count * block}, {before[3].count * block}};
  step.give(moved(step, 0, make_move(dims, [&](const std::vector<Index>& at) {
                    const Index i = at[2] % block, j = at[3] % block;
                    const Index channel = rows ? (i * block + j) * depth + at[1] : (at[1] * block + i) * block + j;
                    return flat(before, {at[0], channel, at[2] / block, at[3] / block});
                  })));
}

void space_to_depth_rule(ImportStep& step) {
  const Extents before = step.dims(0);
  if (before.size() != 4) step.refuse("expected (batch, channels, height, width)");
  for (const Index axis : {1, 2, 3}) step.require_one_example(before, axis);
  const Index block = step.integer("blocksize", 0);
  if (block < 1 || before[2].count % block != 0 || before[3].count % block != 0)
    step.refuse("blocksize does not divide the image");
  const Index depth = before[1].count;
  const Extents dims{before[0], {depth * block * block}, {before[2].count / block}, {before[3].count / block}};
  step.give(
      moved(step, 0, make_move(dims, [&](const std::vector<Index>& at) {
              const Index cell = at[1] / depth;
              return flat(before, {at[0], at[1] % depth, at[2] * block + cell / block, at[3] * block + cell % block});
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

constexpr OnnxRule kLayout[] = {
    {"Concat", concat_rule},
    {"DepthToSpace", depth_to_space_rule},
    {"Dropout", dropout, "inference: nothing is dropped"},
    {"Expand", expand_rule, "shape known beforehand"},
    {"Flatten", flatten_rule},
    {"Gather", gather_rule, "indices known beforehand, or into the first axis of a table that all examples share"},
    {"GatherElements", gather_elements_rule, "indices known beforehand"},
    {"GatherND", gather_nd_rule, "indices known beforehand, no batch_dims"},
    {"Identity", identity},
    {"OneHot", one_hot_rule, "depth known beforehand"},
    {"Pad", pad_rule, "pads known beforehand"},
    {"Reshape", reshape_rule, "shape known beforehand but for the number of examples"},
    {"Slice", slice_rule, "starts, ends, steps known beforehand"},
    {"SpaceToDepth", space_to_depth_rule},
    {"Split", split_rule},
    {"Squeeze", squeeze_rule},
    {"Tile", tile_rule, "repeats known beforehand"},
    {"Transpose", transpose_rule},
    {"Trilu", trilu_rule},
    {"Unsqueeze", unsqueeze_rule}};

}  // namespace

std::span<const OnnxRule> layout_rules() {
  return kLayout;
}

}  // namespace slopewise
