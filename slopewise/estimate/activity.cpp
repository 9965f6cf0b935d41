#include "slopewise/estimate/activity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/tensor/random.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

constexpr std::uint64_t kActivities = 0x61637469;
constexpr Index kRowsAPiece = 8;
// Running means remember about 1 / (1 − this) batches.
constexpr double kMemory = 0.99;

}  // namespace

template <class T>
ActivityEstimator<T>::ActivityEstimator(const Program& program, ActivitySites sites, ActivityOptions options,
                                        const ActivityEstimator* like)
    : program_(program),
      sites_(std::move(sites)),
      options_(std::move(options)),
      law_(entries_named(options_.law)),
      prior_(make_activity_prior<T>(options_.prior, program, sites_, options_.seed)),
      work_(like ? like->work_ : std::make_shared<Work>(program.size())) {
  if (options_.tangents < 0)
    throw ArgumentError(fmt::format("activities: tangents: expected at least 0, found {}", options_.tangents));
  if (options_.tangents == 0 &&
      (options_.correction != Correction::kNone || prior_->learns() || !options_.exact_head)) {
    throw ArgumentError(
        "activities: tangents: expected at least 1 to correct, to teach the prior or to estimate the head");
  }
  if (!(options_.gate > 0))
    throw ArgumentError(fmt::format("activities: gate: expected above 0, found {}", options_.gate));
  if (sites_.nodes.empty() && options_.exact_head)
    throw ArgumentError("activities: expected at least one hidden layer, as the last layer's gradient is exact");
  for (const Index node : sites_.nodes) sizes_.push_back(program.node(node).shape.size());
  const std::size_t sites_count = sizes_.size();
  if (!options_.exact_head) sizes_.push_back(program.node(sites_.logits).shape.size());
  work_->residual.resize(prior_->learns() ? sites_count : 0);
  const std::size_t means = options_.together ? 1 : sizes_.size();
  for (const auto& [name, count] : {std::pair{"signal", means}, {"residual", means}, {"active", sizes_.size()}})
    running_.push_back({name, std::vector<T>(count)});
}

template <class T>
Index ActivityEstimator<T>::planes(bool together) const {
  return options_.tangents * (together ? Index{1} : static_cast<Index>(sizes_.size()));
}

template <class T>
Workload ActivityEstimator<T>::workload(Index batch, bool together) const {
  Workload workload{
      .mode = Workload::Mode::kGiven, .batch = batch, .tangents = planes(together), .precision = options_.precision};
  workload.forms.assign(program_.layout().segments.size(), TangentForm::kNone);
  workload.cuts = sites_.nodes;
  workload.error = sites_.logits;
  workload.outputs = options_.outputs;
  if (workload.tangents > 0) {
    workload.perturbed = sites_.nodes;
    if (!options_.exact_head) workload.perturbed.push_back(sites_.logits);
  }
  return workload;
}

template <class T>
MemoryReport ActivityEstimator<T>::memory(Index batch) const {
  return program_.memory(workload(batch, options_.together), sizeof(T));
}

template <class T>
CostReport ActivityEstimator<T>::cost(Index batch) const {
  return program_.cost(workload(batch, options_.together), sizeof(T));
}

// Whether tangents of this plane enter at the site.
template <class T>
bool ActivityEstimator<T>::enters(Index plane, std::size_t site, bool together) const {
  return together || plane / options_.tangents == static_cast<Index>(site);
}

template <class T>
typename ActivityEstimator<T>::Pass ActivityEstimator<T>::make_pass(bool together, std::uint32_t step,
                                                                    bool learning) const {
  Pass pass{.together = together, .planes = planes(together), .step = step, .learning = learning, .alpha = {}};
  for (std::size_t site = 0; site < sizes_.size(); ++site) pass.alpha.push_back(gate_of(site));
  return pass;
}

// u (planes, size) of one example at a site: K tangents, masked; zero in the other sites' planes.
template <class T>
void ActivityEstimator<T>::draw(const Pass& pass, std::size_t site, Index example, std::span<const T> value,
                                std::span<T> out) const {
  const auto size = static_cast<Index>(value.size());
  const Index entries = options_.tangents * size;
  const Index first = pass.together ? 0 : static_cast<Index>(site) * entries;
  if (!pass.together) std::fill(out.begin(), out.end(), T{0});
  const std::span<T> own = out.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(entries));
  fill_entries(
      law_,
      {.seed = derive_seed(options_.seed, kActivities), .step = pass.step, .stream = static_cast<std::uint32_t>(site)},
      example * round_up(entries, kGaussianGroup), own);
  if (!masked(site)) return;
  for (Index k = 0; k < options_.tangents; ++k) {
    T* u = own.data() + k * size;
    for (Index i = 0; i < size; ++i) u[i] = value[static_cast<std::size_t>(i)] != T{0} ? u[i] : T{0};
  }
}

// Whether no tangent enters where the site is 0; the logits, which come after the sites, are never masked.
template <class T>
bool ActivityEstimator<T>::masked(std::size_t site) const {
  return sites_.rectified && site < sites_.nodes.size();
}

// α of a site. Of the logits nothing is known beforehand, so all that slopes say is taken.
template <class T>
double ActivityEstimator<T>::gate_of(std::size_t site) const {
  if (options_.correction == Correction::kFull || site >= sites_.nodes.size()) return 1;
  if (options_.correction == Correction::kNone || seen_ == 0) return 0;
  const std::size_t group = options_.together ? 0 : site;
  const double signal = static_cast<double>(running_[0].values[group]);
  const double residual = static_cast<double>(running_[1].values[group]);
  const double active = static_cast<double>(running_[2].values[site]);
  const double noise = active * residual;
  const double allowed = options_.gate * static_cast<double>(options_.tangents) * signal;
  return allowed >= noise ? 1 : std::sqrt(allowed / noise);
}

// m + α (1/K) Σ_k d_k u_k, over B, in place of m, from the residual slopes d = s − u · m of one example.
template <class T>
void ActivityEstimator<T>::correct(const Pass& pass, std::size_t site, std::span<const T> residual_slopes, const T* u,
                                   Index batch, std::span<T> estimate, std::span<T> residual) const {
  const auto size = static_cast<Index>(estimate.size());
  if (pass.alpha[site] > 0 || pass.learning) {
    std::fill(residual.begin(), residual.end(), T{0});
    for (Index k = 0; k < pass.planes; ++k) {
      if (enters(k, site, pass.together)) {
        axpy(residual_slopes[static_cast<std::size_t>(k)] / static_cast<T>(options_.tangents), u + k * size,
             residual.data(), size);
      }
    }
    axpy(static_cast<T>(pass.alpha[site]), residual.data(), estimate.data(), size);
  }
  for (T& entry : estimate) entry /= static_cast<T>(batch);
}

// Turns the prior into the estimate for rows [begin, end) of a visit.
template <class T>
typename ActivityEstimator<T>::Sums ActivityEstimator<T>::estimate_rows(const Pass& pass, const GivenView<T>& view,
                                                                        const Visit& visit, Index begin, Index end) {
  Sums sums{.signal = std::vector<double>(static_cast<std::size_t>(pass.planes)),
            .residual = std::vector<double>(static_cast<std::size_t>(pass.planes)),
            .active = std::vector<double>(sizes_.size())};
  const Index widest = *std::max_element(sizes_.begin(), sizes_.end());
  const Index total = std::accumulate(sizes_.begin(), sizes_.end(), Index{0});
  std::vector<T> u(static_cast<std::size_t>(pass.planes * total)), scratch(static_cast<std::size_t>(widest));
  std::vector<T> slopes(static_cast<std::size_t>(pass.planes));
  const auto row = [](auto values, Index b, Index size) {
    return values.subspan(static_cast<std::size_t>(b * size), static_cast<std::size_t>(size));
  };
  for (Index b = begin; b < end; ++b) {
    for (std::size_t k = 0; k < slopes.size(); ++k) {
      slopes[k] = view.slopes[k][static_cast<std::size_t>(b)];
      sums.signal[k] += static_cast<double>(slopes[k]) * static_cast<double>(slopes[k]);
    }
    // s_k − u_k · m, over the sites that share the slope.
    T* at = u.data();
    for (std::size_t site = 0; site < sizes_.size(); ++site) {
      const Index size = sizes_[site];
      const std::span<const T> value = row(visit.seen.values[site], b, size);
      if (pass.planes > 0) draw(pass, site, view.first + b, value, {at, static_cast<std::size_t>(pass.planes * size)});
      for (Index k = 0; k < pass.planes; ++k) {
        if (enters(k, site, pass.together))
          slopes[static_cast<std::size_t>(k)] -= dot(at + k * size, row(visit.out[site], b, size).data(), size);
      }
      sums.active[site] += static_cast<double>(
          masked(site) ? std::ranges::count_if(value, [](T h) { return h != T{0}; }) : std::ssize(value));
      at += pass.planes * size;
    }
    for (std::size_t k = 0; k < slopes.size(); ++k)
      sums.residual[k] += static_cast<double>(slopes[k]) * static_cast<double>(slopes[k]);
    at = u.data();
    for (std::size_t site = 0; site < sizes_.size(); ++site) {
      const Index size = sizes_[site];
      const bool learn = pass.learning && site < work_->residual.size();
      correct(pass, site, slopes, at, view.batch, row(visit.out[site], b, size),
              row(std::span<T>(learn ? work_->residual[site] : scratch), learn ? b : 0, size));
      at += pass.planes * size;
    }
  }
  return sums;
}

template <class T>
void ActivityEstimator<T>::give(const Pass& pass, const GivenView<T>& view, Tally& tally) {
  std::vector<T> error(view.error.begin(), view.error.end());  // of one example's loss, not of the mean
  for (T& e : error) e *= static_cast<T>(view.batch);
  const Index classes = static_cast<Index>(error.size()) / view.rows;
  for (Index b = 0; b < view.rows; ++b) {
    const T* e = error.data() + b * classes;
    const auto square = static_cast<double>(dot(e, e, classes));
    tally.squared_errors += square;
    tally.fourth_errors += square * square;
  }
  Visit visit{.seen = {.rows = view.rows, .error = error, .values = {}}, .out = {}};
  for (const auto& cut : view.cuts) {
    visit.seen.values.push_back(cut.value);
    visit.out.push_back(cut.cotangent);
  }
  prior_->predict(visit.seen, visit.out);
  if (!options_.exact_head) {
    std::fill(view.error.begin(), view.error.end(), T{0});
    visit.seen.values.push_back(view.error);
    visit.out.push_back(view.error);
  }
  for (std::size_t site = 0; pass.learning && site < work_->residual.size(); ++site)
    work_->residual[site].resize(visit.out[site].size());

  const Index pieces = (view.rows + kRowsAPiece - 1) / kRowsAPiece;
  std::vector<Sums> sums(static_cast<std::size_t>(pieces));
  parallel_for(pieces, [&](Index piece) {
    const Index begin = piece * kRowsAPiece;
    sums[static_cast<std::size_t>(piece)] =
        estimate_rows(pass, view, visit, begin, std::min(view.rows, begin + kRowsAPiece));
  });
  for (const Sums& sum : sums) {
    for (std::size_t k = 0; k < sum.signal.size(); ++k) {
      const std::size_t group = pass.together ? 0 : k / static_cast<std::size_t>(options_.tangents);
      const double each = static_cast<double>(view.batch) * static_cast<double>(options_.tangents);
      tally.noise[group].signal += sum.signal[k] / each;
      tally.noise[group].residual += sum.residual[k] / each;
    }
    for (std::size_t site = 0; site < sizes_.size(); ++site)
      tally.active[site] += sum.active[site] / static_cast<double>(view.batch);
  }
  for (std::size_t site = 0; pass.learning && site < work_->residual.size(); ++site)
    prior_->watch(visit.seen, site, work_->residual[site]);
}

// γ of each site. Slopes measure d = ∂loss/∂h − m with noise of variance ‖d‖²/K in every entry, over all n entries that
// share them, so that a batch multiplies the mean square of B's error by (1 − γ)² + γ² n / (K B'),
// B' = (Σ|e|²)² / Σ|e|⁴: as many examples as err alike, few where most are fitted. That is above 1 from γ = 2 γ* on and
// least at γ* = 1 / (1 + n / (K B')); half of γ* is on the safe side.
template <class T>
std::vector<double> ActivityEstimator<T>::paces(const Tally& tally, double pace) const {
  std::vector<double> paces;
  const double erring = tally.fourth_errors > 0 ? tally.squared_errors * tally.squared_errors / tally.fourth_errors : 0;
  const double slopes = static_cast<double>(options_.tangents) * erring;
  const Index all = std::accumulate(sizes_.begin(), sizes_.end(), Index{0});
  for (std::size_t site = 0; site < sites_.nodes.size(); ++site) {
    const auto entries = static_cast<double>(options_.together ? all : sizes_[site]);
    paces.push_back(std::min(pace, 0.5 * slopes / (slopes + entries)));
  }
  return paces;
}

template <class T>
typename ActivityEstimator<T>::Tally ActivityEstimator<T>::run(Runner<T>& runner, const Pass& pass,
                                                               const Parameters<T>& parameters, const Batch<T>& batch,
                                                               std::span<T> out) {
  Tally tally;
  tally.noise.resize(pass.together ? 1 : sizes_.size());
  tally.active.resize(sizes_.size());
  Perturbation<T> perturbation;
  if (pass.planes > 0) {
    perturbation = [&](std::size_t site, Index example, std::span<const T> value, std::span<T> tangents) {
      draw(pass, site, example, value, tangents);
    };
  }
  const auto giver = [&](const GivenView<T>& view) { give(pass, view, tally); };
  tally.loss = runner.given(parameters, batch, nullptr, perturbation, giver, out).loss;
  return tally;
}

template <class T>
const ActivityGradient<T>& ActivityEstimator<T>::estimate(const Parameters<T>& parameters, const Batch<T>& batch,
                                                          std::uint32_t step, std::optional<double> pace) {
  std::optional<Runner<T>>& runner = work_->runner;
  ActivityGradient<T>& gradient = work_->gradient;
  if (!runner || runner->workload().batch < batch.rows)
    runner.emplace(program_, workload(batch.rows, options_.together));
  if (pace) prior_->begin(parameters, step);
  const Pass pass = make_pass(options_.together, step, pace && prior_->learns());
  const Tally tally = run(*runner, pass, parameters, batch, gradient.edit());
  gradient.loss = tally.loss;
  gradient.noise = tally.noise;
  gradient.variance = 0;
  for (std::size_t site = 0; site < sizes_.size() && options_.tangents > 0; ++site) {
    gradient.variance += pass.alpha[site] * pass.alpha[site] * tally.active[site] *
                         tally.noise[options_.together ? 0 : site].residual / static_cast<double>(options_.tangents);
  }
  if (pass.learning) prior_->learn(paces(tally, *pace));
  if (pace) remember(tally);
  return gradient;
}

template <class T>
std::vector<ActivityNoise> ActivityEstimator<T>::residuals(const Parameters<T>& parameters, const Batch<T>& batch,
                                                           std::uint32_t step) {
  if (options_.tangents == 0) return {};
  Runner<T> runner(program_, workload(batch.rows, false));
  std::vector<T> gradient(static_cast<std::size_t>(program_.size()));
  return run(runner, make_pass(false, step, false), parameters, batch, gradient).noise;
}

// The running means, their start without bias towards 0.
template <class T>
void ActivityEstimator<T>::remember(const Tally& tally) {
  ++seen_;
  const double share = (1 - kMemory) / (1 - std::pow(kMemory, static_cast<double>(seen_)));
  const auto follow = [share](T& mean, double value) {
    mean = static_cast<T>(static_cast<double>(mean) + share * (value - static_cast<double>(mean)));
  };
  for (std::size_t i = 0; i < tally.noise.size(); ++i) {
    follow(running_[0].values[i], tally.noise[i].signal);
    follow(running_[1].values[i], tally.noise[i].residual);
  }
  for (std::size_t site = 0; site < tally.active.size(); ++site) follow(running_[2].values[site], tally.active[site]);
}

template <class T>
std::vector<StateView<T>> ActivityEstimator<T>::state() const {
  return {detail::view_of(seen_, running_), prior_->state()};
}

template <class T>
void ActivityEstimator<T>::restore(const std::vector<StateView<T>>& state) {
  if (state.size() != 2)
    throw ArgumentError(fmt::format("activities: state: expected 2 parts, found {}", state.size()));
  detail::copy_state("activities", state[0], running_);
  seen_ = state[0].steps;
  prior_->restore(state[1]);
}

template class ActivityEstimator<float>;
template class ActivityEstimator<double>;

}  // namespace slopewise
