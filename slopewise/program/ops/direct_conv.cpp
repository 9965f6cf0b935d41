// ẏ = W ⋆ ẋ + V ⋆ x + ḃ; for V = u wᵀ the second term is (w ⋆ x) uᵀ, and w ⋆ x for K tangents one convolution with K
// outputs. Where windows move by single entries, x̄ is the convolution of ȳ with W's taps in reverse order, inputs and
// outputs exchanged.
#include "slopewise/program/ops/direct_conv.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

// Windows of an image from which arranging W as filters, once a visit, is little beside convolving.
constexpr Index kFewestWindows = 16;

// What makes x̄ of ȳ; nothing where windows move further or lie in the padding.
std::optional<Convolution> reversed(const Convolution& of) {
  Convolution back{.axes = of.axes, .channels = of.outputs, .outputs = of.channels};
  for (WindowAxis& axis : back.axes) {
    std::swap(axis.extent, axis.out);
    axis.before = axis.span() - 1 - axis.before;
    axis.after = axis.out - 1 + axis.span() - axis.extent - axis.before;
    if (axis.stride != 1 || axis.before < 0 || axis.after < 0) return std::nullopt;
  }
  return back;
}

}  // namespace

DirectConv::DirectConv(const Convolution& of) : of_(of) {
  if (of.windows() < kFewestWindows || of.image() == 0 || of.outputs == 0) return;
  block_ = filter_block(of);
  if (block_ == 0) return;
  gradient_scratch_ = filter_gradient_scratch(of, 1);
  if (const std::optional<Convolution> back = reversed(of)) {
    back_ = *back;
    back_block_ = filter_block(back_);
  }
}

Convolution DirectConv::projection(Index tangents) const {
  Convolution narrow = of_;
  narrow.outputs = tangents;
  return narrow;
}

bool DirectConv::makes(const Push<float>& visit) const {
  if (block_ == 0 || visit.precision != Precision::kFloat32 || visit.out.second) return false;
  return !visit.in[1].rank_one.right || filter_block(projection(visit.tangents)) > 0;
}

Index DirectConv::scratch(Index tangents, bool rank_one) const {
  if (block_ == 0) return 0;
  Index entries = filter_entries(of_.outputs, of_.columns(), block_);
  if (rank_one && tangents > 0) {
    const Index block = filter_block(projection(tangents));
    if (block > 0) entries += filter_entries(tangents, of_.columns(), block) + of_.windows() * tangents;
  }
  return entries;
}

void DirectConv::pushforward(const Push<float>& visit) const {
  const Jet<float>& x = visit.in[0];
  const Jet<float>& weight = visit.in[1];
  const Jet<float>& y = visit.out;
  const Jet<float> bias = visit.in.size() > 2 ? visit.in[2] : Jet<float>{};
  const Index outputs = of_.outputs;
  const Index image = of_.image();
  const Index result = of_.windows() * outputs;
  const Index entries = filter_entries(outputs, of_.columns(), block_);
  const auto arranged = [&](const float* matrix) {
    arrange_filters(matrix, outputs, of_.columns(), block_, visit.scratch);
    return static_cast<const float*>(visit.scratch);
  };

  const bool projects = weight.rank_one.right && visit.tangents > 0;
  const Convolution narrow = projection(visit.tangents);
  float* const rights = visit.scratch + entries;  // the tangents' right factors as filters
  float* along = nullptr;                         // w ⋆ x, (windows, K)
  if (projects) {
    const Index block = filter_block(narrow);
    arrange_filters(weight.rank_one.right, visit.tangents, of_.columns(), block, rights);
    along = rights + filter_entries(visit.tangents, of_.columns(), block);
  }
  // y += (w ⋆ x) uᵀ + b of tangent k, or of the value (k < 0), in one visit of each row.
  const auto add_by_rows = [&](Index k, const float* added, float* out) {
    const float* left = k >= 0 && projects ? weight.rank_one.left + k * outputs : nullptr;
    if (!left && !added) return;
    for (Index i = 0; i < of_.windows(); ++i) {
      float* row = out + i * outputs;
      const float scale = left ? along[i * visit.tangents + k] : 0.0f;
      if (left && added) {
        for (Index j = 0; j < outputs; ++j) row[j] += scale * left[j] + added[j];
      } else {
        axpy(left ? scale : 1.0f, left ? left : added, row, outputs);
      }
    }
  };

  const bool dense = weight.tangent && visit.tangents > 0;
  const float* filters = weight.packed ? weight.packed->filters(block_, visit.scratch) : arranged(weight.value);
  for (Index r = 0; r < y.rows; ++r) {
    const float* from = x.value + r * image;
    convolve(of_, filters, from, false, y.value + r * result);
    add_by_rows(-1, bias.value, y.value + r * result);
    if (projects) convolve(narrow, rights, from, false, along);
    for (Index k = 0; k < visit.tangents; ++k) {
      float* const to = y.tangent_row(k, r);
      if (x.tangent) {
        convolve(of_, filters, x.tangent_row(k, r), false, to);
      } else {
        std::fill_n(to, result, 0.0f);
      }
      add_by_rows(k, bias.tangent ? bias.tangent_row(k, 0) : nullptr, to);
    }
    if (!dense) visit.finish(r);
  }
  if (!dense) return;
  for (Index k = 0; k < visit.tangents; ++k) {
    filters = arranged(weight.tangent_row(k, 0));
    for (Index r = 0; r < y.rows; ++r) convolve(of_, filters, x.value + r * image, true, y.tangent_row(k, r));
  }
  for (Index r = 0; r < y.rows; ++r) visit.finish(r);
}

bool DirectConv::pulls_weight(Index images) const {
  return gradient_scratch_ > 0 && filter_gradient_scratch(of_, images) == gradient_scratch_;
}

Index DirectConv::input_scratch() const {
  if (!pulls_input()) return 0;
  return of_.outputs * of_.columns() + filter_entries(back_.outputs, back_.columns(), back_block_);
}

void DirectConv::pull_input(const Pull<float>& visit, const Cotangent<float>& target) const {
  const float* weights = visit.in[1].value;
  float* const filters = visit.scratch + of_.outputs * of_.columns();
  if (const WeightProduct* packed = visit.in[1].packed) {
    packed->unpack(visit.scratch);
    weights = visit.scratch;
  }
  const Index channels = of_.channels, outputs = of_.outputs, taps = of_.columns() / channels;
  for (Index first = 0; first < channels; first += back_block_) {
    const Index now = std::min(back_block_, channels - first);
    float* to = filters + first * back_.columns();
    for (Index tap = taps - 1; tap >= 0; --tap) {
      for (Index o = 0; o < outputs; ++o, to += back_block_) {
        std::fill(std::copy_n(weights + (o * taps + tap) * channels + first, now, to), to + back_block_, 0.0f);
      }
    }
  }
  for (Index r = 0; r < visit.out.rows; ++r)
    convolve(back_, filters, visit.cotangent + r * back_.image(), target.accumulate, target.data + r * of_.image());
}

void DirectConv::pull_weight(const Pull<float>& visit, Index first, Index last, float* gradient, float* scratch) const {
  filter_gradient(of_, last - first, visit.in[0].value + first * of_.image(),
                  visit.cotangent + first * of_.windows() * of_.outputs, gradient, scratch);
}

}  // namespace slopewise
