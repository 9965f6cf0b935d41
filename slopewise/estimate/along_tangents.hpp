// What estimators that work along K tangents share: the law, and one set of tangents whose memory serves every step.
#pragma once

#include <algorithm>
#include <type_traits>

#include "slopewise/base/memory.hpp"
#include "slopewise/estimate/estimator.hpp"

namespace slopewise::detail {

template <class T>
class TangentSource {
 public:
  // `dense`: the tangents that hold() is given have no structure, whatever the law's have.
  TangentSource(const ParameterLayout& layout, const EstimatorOptions& options, bool dense = false)
      : probe_(make_probe(options.law, layout, options.seed)), count_(options.tangents), forms_(probe_->forms()) {
    probe_->check_count(count_);
    if (dense) std::ranges::fill(forms_, TangentForm::kDense);
    const bool draw_again =
        options.storage == TangentStorage::kDrawn ||
        (options.storage == TangentStorage::kAuto && (probe_->quick_to_draw() || !fits_memory(layout.size)));
    if (!draw_again) return;
    for (const Block& block : layout.blocks) {
      TangentForm& form = forms_[static_cast<std::size_t>(block.weight)];
      if (block.columns > 1 && form == TangentForm::kDense) form = TangentForm::kDrawn;
    }
  }

  const Probe& probe() const { return *probe_; }
  Index count() const { return count_; }

  // One step's draw and its tangents, which are valid until the next.
  struct Step {
    std::shared_ptr<const Draw> draw;
    const Tangents<T>& tangents;
  };
  Step draw(std::uint32_t step) { return hold(probe_->draw(step, count_)); }
  // The same for tangents made from the law's.
  Step hold(std::shared_ptr<const Draw> draw) {
    drawn_ = std::move(draw);
    // An estimate of an earlier step may still read its tangents.
    if (!tangents_ || tangents_.use_count() > 1)
      tangents_ = std::make_shared<Tangents<T>>(probe_->layout(), count_, forms_);
    drawn_->write(*tangents_);
    if constexpr (std::is_same_v<T, float>) return {stored_draw(drawn_, tangents_), *tangents_};
    return {drawn_, *tangents_};
  }

 private:
  bool fits_memory(Index size) const {
    return count_ <= available_memory() / 4 / std::max<Index>(size * static_cast<Index>(sizeof(T)), 1);
  }

  std::shared_ptr<const Probe> probe_;
  Index count_;
  std::vector<TangentForm> forms_;
  std::shared_ptr<const Draw> drawn_;
  std::shared_ptr<Tangents<T>> tangents_;
};

}  // namespace slopewise::detail
