#include "slopewise/probe/scaled.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "slopewise/base/error.hpp"
#include "slopewise/probe/draw_of.hpp"

namespace slopewise {
namespace {

void require_scales(std::string_view of, std::size_t found, std::size_t expected) {
  if (found != expected)
    throw ShapeError(
        fmt::format("scaled tangents: expected {} scales, one for each {}, found {}", expected, of, found));
}

class BlockScaledDraw final : public DrawOfBlocks<BlockScaledDraw> {
 public:
  BlockScaledDraw(std::shared_ptr<const Draw> draw, std::vector<double> scales)
      : DrawOfBlocks(draw->layout(), draw->count()), draw_(std::move(draw)), scales_(std::move(scales)) {
    require_scales("block", scales_.size(), layout().blocks.size());
  }

  void write(Tangents<float>& out) const override { write_scaled(out); }
  void write(Tangents<double>& out) const override { write_scaled(out); }
  template <class Weight, class T>
  void add(std::span<const double> coefficients, const Block& block, Weight&& weight, T* bias) const {
    draw_->add_block(scaled(coefficients, block), block, weight, bias);
  }
  template <class T>
  void entries(Index k, Index first, std::span<T> out) const {
    draw_->fill(k, first, out);
    const Index end = first + static_cast<Index>(out.size());
    for (const Segment& segment : layout().segments) {
      const T scale = static_cast<T>(scale_of(segment));
      const Index last = std::min(end, segment.offset + segment.size());
      for (Index i = std::max(first, segment.offset); i < last; ++i) out[i - first] *= scale;
    }
  }

 private:
  double scale_of(const Segment& segment) const { return scales_[segment.block]; }
  std::vector<double> scaled(std::span<const double> coefficients, const Block& block) const {
    std::vector<double> scaled(coefficients.begin(), coefficients.end());
    for (double& c : scaled) c *= scale_of(layout().segments[block.weight]);
    return scaled;
  }

  template <class T>
  void write_scaled(Tangents<T>& out) const {
    draw_->write(out);
    out.set_fill([this](Index k, Index first, std::span<T> entries) { fill(k, first, entries); });
    const auto multiply = [](T* entries, Index size, T scale) {
      for (Index i = 0; i < size; ++i) entries[i] *= scale;
    };
    for (std::size_t i = 0; i < layout().segments.size(); ++i) {
      const Segment& segment = layout().segments[i];
      const auto number = static_cast<Index>(i);
      const T scale = static_cast<T>(scale_of(segment));
      if (T* dense = out.dense(number)) multiply(dense, count() * segment.size(), scale);
      if (out.forms()[i] != TangentForm::kRankOne) continue;
      for (Index k = 0; k < count(); ++k) {
        const std::span<T> left = out.left(number, k);
        multiply(left.data(), static_cast<Index>(left.size()), scale);
      }
    }
  }

  std::shared_ptr<const Draw> draw_;
  std::vector<double> scales_;
};

class EntryScaledDraw final : public DrawOf<EntryScaledDraw> {
 public:
  EntryScaledDraw(std::shared_ptr<const Draw> draw, std::shared_ptr<const std::vector<double>> scales)
      : DrawOf(draw->layout(), draw->count()), draw_(std::move(draw)), scales_(std::move(scales)) {
    require_scales("entry", scales_->size(), static_cast<std::size_t>(layout().size));
  }

  template <class T>
  void entries(Index k, Index first, std::span<T> out) const {
    draw_->fill(k, first, out);
    const double* scale = scales_->data() + first;
    for (std::size_t i = 0; i < out.size(); ++i) out[i] *= static_cast<T>(scale[i]);
  }

 private:
  std::shared_ptr<const Draw> draw_;
  std::shared_ptr<const std::vector<double>> scales_;
};

}  // namespace

std::shared_ptr<const Draw> scaled_by_block(std::shared_ptr<const Draw> draw, std::vector<double> scales) {
  return std::make_shared<BlockScaledDraw>(std::move(draw), std::move(scales));
}
std::shared_ptr<const Draw> scaled_by_entry(std::shared_ptr<const Draw> draw,
                                            std::shared_ptr<const std::vector<double>> scales) {
  return std::make_shared<EntryScaledDraw>(std::move(draw), std::move(scales));
}

}  // namespace slopewise
