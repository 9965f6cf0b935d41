// What estimators that work along K tangents share: the law, and one set of tangents whose memory serves every step.
#pragma once

#include <optional>

#include "slopewise/estimate/estimator.hpp"

namespace slopewise::detail {

template <class T>
class TangentSource {
 public:
  TangentSource(const ParameterLayout& layout, const EstimatorOptions& options)
      : probe_(make_probe(options.law, layout, options.seed)), count_(options.tangents) {
    probe_->check_count(count_);
  }

  const Probe& probe() const { return *probe_; }
  Index count() const { return count_; }

  struct Drawn {
    std::shared_ptr<const Draw> draw;
    const Tangents<T>& tangents;
  };
  Drawn draw(std::uint32_t step) {
    std::shared_ptr<const Draw> draw = probe_->draw(step, count_);
    if (!tangents_) tangents_.emplace(probe_->layout(), count_, probe_->forms());
    draw->write(*tangents_);
    return {std::move(draw), *tangents_};
  }

 private:
  std::shared_ptr<const Probe> probe_;
  Index count_;
  std::optional<Tangents<T>> tangents_;
};

}  // namespace slopewise::detail
