#include "slopewise/estimate/residual.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <vector>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/program/stream.hpp"
#include "slopewise/tensor/matmul.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

template <class T>
class Residual final : public ActivityPrior<T> {
 public:
  std::string_view name() const override { return "residual"; }
  void predict(const ActivityRows<T>& seen, std::span<const std::span<T>> out) const override {
    for (const std::span<T>& site : out) std::ranges::copy(seen.error, site.begin());
  }
};

template <class T>
class LearnedResidual final : public ActivityPrior<T> {
 public:
  LearnedResidual(const Program& program, const ActivitySites& sites) : width_(program.node(sites.logits).shape[-1]) {
    for (std::size_t site = 0; site < sites.nodes.size(); ++site) {
      if (program.node(sites.nodes[site]).shape[-1] != width_)
        throw ArgumentError("prior 'residual-learned': expected a stream of one width");
      std::vector<T> map(static_cast<std::size_t>(width_ * width_));
      for (Index i = 0; i < width_; ++i) map[i * width_ + i] = T{1};
      this->memory_.push_back({fmt::format("map{}", site + 1), std::move(map)});
      correlation_.emplace_back(static_cast<std::size_t>(width_ * width_));
    }
  }
  std::string_view name() const override { return "residual-learned"; }
  bool learns() const override { return true; }
  Index scratch_bytes() const override { return static_cast<Index>(correlation_.size() * sizeof(T)) * width_ * width_; }
  void begin(const Parameters<T>&) override {
    for (std::vector<T>& of_site : correlation_) std::ranges::fill(of_site, T{0});
    power_ = T{0};
  }
  void predict(const ActivityRows<T>& seen, std::span<const std::span<T>> out) const override {
    const Index positions = static_cast<Index>(seen.error.size()) / width_;
    constexpr Index kPositions = 64;
    parallel_for((positions + kPositions - 1) / kPositions, [&](Index piece) {
      const Index first = piece * kPositions, count = std::min(kPositions, positions - first);
      for (std::size_t site = 0; site < out.size(); ++site) {
        matmul<T>(count, width_, width_, T{1}, {seen.error.data() + first * width_, width_},
                  {this->memory_[site].values.data(), width_, true}, T{0}, out[site].data() + first * width_, width_);
      }
    });
  }
  void watch(const ActivityRows<T>& seen, std::size_t site, std::span<const T> residual) override {
    const Index positions = static_cast<Index>(seen.error.size()) / width_;
    matmul<T>(width_, width_, positions, T{1}, {residual.data(), width_, true}, {seen.error.data(), width_}, T{1},
              correlation_[site].data(), width_);
    if (site == 0) power_ += dot(seen.error.data(), seen.error.data(), static_cast<Index>(seen.error.size()));
  }
  std::vector<std::span<T>> watched() override {
    std::vector<std::span<T>> sums(correlation_.begin(), correlation_.end());
    sums.push_back({&power_, 1});
    return sums;
  }
  void learn(std::span<const double> paces, std::uint32_t) override {
    for (std::size_t site = 0; site < correlation_.size() && power_ > T{0}; ++site) {
      axpy(static_cast<T>(paces[site]) / power_, correlation_[site].data(), this->memory_[site].values.data(),
           width_ * width_);
    }
    ++this->steps_;
  }

 private:
  Index width_;
  std::vector<std::vector<T>> correlation_;  // Σ r gᵀ
  T power_{};                                // Σ |g|²
};

}  // namespace

bool feeds_stream(const ActivityOptions& options) {
  return options.prior == "residual" || options.prior == "residual-learned";
}

ActivitySites stream_sites(const Program& program, const ActivitySites& sites, const ActivityOptions& options) {
  const Stream stream = find_stream(program, sites.logits);
  const auto refuse = [&](const char* why) { throw ArgumentError(fmt::format("prior '{}': {}", options.prior, why)); };
  if (!stream.residual) refuse("expected blocks that add to what they read, found none");
  if (options.group < 1) refuse("expected groups of at least 1 block");
  const auto size = [&](std::size_t cut) { return program.node(stream.cuts[cut]).shape.size(); };
  std::size_t top = stream.cuts.size() - 1;
  if (sites.head >= 0) top = static_cast<std::size_t>(std::ranges::find(stream.cuts, sites.head) - stream.cuts.begin());
  while (top > 0 && size(top) != size(top - 1)) --top;
  ActivitySites found{.rectified = false, .logits = stream.cuts[top], .head = stream.cuts[top]};
  const auto group = static_cast<std::size_t>(options.group);
  for (std::size_t at = top; at >= group && size(at - group) == size(top);) {
    at -= group;
    found.nodes.insert(found.nodes.begin(), stream.cuts[at]);
  }
  found.nodes = trained_sites(program, found).nodes;
  if (found.nodes.empty()) refuse("expected blocks that train below others of one size, found none");
  return found;
}

template <class T>
std::unique_ptr<ActivityPrior<T>> residual_prior(const Program&, const ActivitySites&, std::uint64_t) {
  return std::make_unique<Residual<T>>();
}
template <class T>
std::unique_ptr<ActivityPrior<T>> learned_residual_prior(const Program& program, const ActivitySites& sites,
                                                         std::uint64_t) {
  return std::make_unique<LearnedResidual<T>>(program, sites);
}

template std::unique_ptr<ActivityPrior<float>> residual_prior(const Program&, const ActivitySites&, std::uint64_t);
template std::unique_ptr<ActivityPrior<double>> residual_prior(const Program&, const ActivitySites&, std::uint64_t);
template std::unique_ptr<ActivityPrior<float>> learned_residual_prior(const Program&, const ActivitySites&,
                                                                      std::uint64_t);
template std::unique_ptr<ActivityPrior<double>> learned_residual_prior(const Program&, const ActivitySites&,
                                                                       std::uint64_t);

}  // namespace slopewise
