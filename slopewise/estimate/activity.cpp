#include "slopewise/estimate/activity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/estimate/families.hpp"
#include "slopewise/estimate/residual.hpp"
#include "slopewise/tensor/random.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

constexpr std::uint64_t kActivities = 0x61637469;
constexpr Index kRowsAPiece = 8;
// Running means remember about 1 / (1 − this) batches.
constexpr double kMemory = 0.99;

void require_trained_layers(const Program& program, const ActivitySites& sites) {
  const TrainedSites trained = trained_sites(program, sites);
  if (!trained.logits)
    throw ArgumentError("activities: expected that the layer of the output trains too, found it frozen");
  for (const Index site : sites.nodes) {
    if (std::ranges::binary_search(trained.nodes, site)) continue;
    throw ArgumentError(
        fmt::format("activities: expected that something trains before '{}' and after the activities before it, found "
                    "all of it frozen",
                    program.node(site).name));
  }
}

}  // namespace

template <class T>
ActivityEstimator<T>::ActivityEstimator(const EstimatorTarget& target, const EstimatorOptions& options)
    : program_((target.require_sites("activities"), *target.program)),
      sites_(feeds_stream(options.activity) ? stream_sites(*target.program, target.sites, options.activity)
                                            : target.sites),
      options_(options.activity),
      tangents_(options.tangents),
      seed_(options.seed),
      together_(options.activity.together),
      exact_head_(options.exact_head.value_or(true)),
      law_(entries_named(options.law)),
      prior_(make_activity_prior<T>(options_.prior, program_, sites_, options.seed)) {
  if (tangents_ < 0) throw ArgumentError(fmt::format("activities: tangents: expected at least 0, found {}", tangents_));
  if (tangents_ == 0 && (options_.correction != Correction::kNone || prior_->learns() || !exact_head_)) {
    throw ArgumentError(
        "activities: tangents: expected at least 1 to correct, to teach the prior or to estimate the head");
  }
  if (feeds_stream(options_) && !exact_head_)
    throw ArgumentError(fmt::format("activities: prior '{}': expected an exact head", options_.prior));
  if ((options_.ahead != 0 || options_.group != 1) && !feeds_stream(options_))
    throw ArgumentError("activities: groups of blocks and look-ahead: expected the prior 'residual'");
  if (options_.ahead < 0 || (options_.ahead > 0 && (tangents_ > 0 || options_.prior != "residual"))) {
    throw ArgumentError(
        "activities: look-ahead: expected at least 0, and no tangents; groups of blocks can be corrected");
  }
  if (!(options_.gate > 0))
    throw ArgumentError(fmt::format("activities: gate: expected above 0, found {}", options_.gate));
  if (!(options_.pace >= 0))
    throw ArgumentError(fmt::format("activities: pace: expected at least 0, found {}", options_.pace));
  if (sites_.nodes.empty() && sites_.head >= 0)
    throw ArgumentError("activities: expected hidden layers below the exact blocks, found none");
  if (sites_.nodes.empty() && exact_head_)
    throw ArgumentError("activities: expected at least one hidden layer, as the last layer's gradient is exact");
  require_trained_layers(program_, sites_);
  for (const Index node : sites_.nodes) sizes_.push_back(program_.node(node).shape.size());
  if (!exact_head_) sizes_.push_back(program_.node(sites_.logits).shape.size());
  const std::size_t means = together_ ? 1 : sizes_.size();
  for (const auto& [name, count] : {std::pair{"signal", means}, {"residual", means}, {"active", sizes_.size()}})
    running_.push_back({name, std::vector<T>(count)});
}

template <class T>
Index ActivityEstimator<T>::planes(bool together) const {
  return tangents_ * (together ? Index{1} : static_cast<Index>(sizes_.size()));
}

template <class T>
GivenOptions ActivityEstimator<T>::given_options(bool together) const {
  if (in_stream()) return {.cuts = sites_.nodes, .error = sites_.logits, .ahead = options_.ahead, .few_rows = true};
  GivenOptions options{.tangents = planes(together),
                       .cuts = sites_.nodes,
                       .error = sites_.logits,
                       .spare = prior_->learns(),
                       .few_rows = sites_.head >= 0};
  if (options.tangents > 0) {
    options.perturbed = sites_.nodes;
    if (!exact_head_) options.perturbed.push_back(sites_.logits);
  }
  return options;
}

// Whether the prior is all that there is and takes care of itself on the way back.
template <class T>
bool ActivityEstimator<T>::in_stream() const {
  return tangents_ == 0 && options_.prior == "residual";
}

template <class T>
Demand ActivityEstimator<T>::demand(Objective<T>& objective) const {
  Demand demand = objective.given_demand(given_options(together_));
  for (const StatePart& part : state()) demand.bytes += part.bytes();
  demand.bytes += prior_->scratch_bytes();
  if (in_stream()) return demand;  // which calls no giver
  Tally tally = blank_tally(together_);
  const GivenSums<T> sums = sums_of(make_pass(together_, 0, prior_->learns()), tally);
  for (const auto& some : sums.doubles) demand.answers.dense += std::ssize(some);
  for (const auto& some : sums.numbers) demand.answers.dense += std::ssize(some);
  return demand;
}

template <class T>
std::vector<double> ActivityEstimator<T>::entry_variances(const GradientView& gradient) const {
  return std::vector<double>(static_cast<std::size_t>(gradient.size()), std::numeric_limits<double>::quiet_NaN());
}

template <class T>
double ActivityEstimator<T>::total_variance(const GradientView&) const {
  return std::numeric_limits<double>::quiet_NaN();
}

// Whether tangents of this plane enter at the site.
template <class T>
bool ActivityEstimator<T>::enters(Index plane, std::size_t site, bool together) const {
  return together || plane / tangents_ == static_cast<Index>(site);
}

template <class T>
typename ActivityEstimator<T>::Pass ActivityEstimator<T>::make_pass(bool together, std::uint32_t step,
                                                                    bool watching) const {
  Pass pass{.together = together, .planes = planes(together), .step = step, .watching = watching, .alpha = {}};
  for (std::size_t site = 0; site < sizes_.size(); ++site) pass.alpha.push_back(gate_of(site));
  return pass;
}

// u (planes, size) of one example at a site: K tangents, masked; zero in the other sites' planes.
template <class T>
void ActivityEstimator<T>::draw(const Pass& pass, std::size_t site, Index example, std::span<const T> value,
                                std::span<T> out) const {
  const auto size = static_cast<Index>(value.size());
  const Index entries = tangents_ * size;
  const Index first = pass.together ? 0 : static_cast<Index>(site) * entries;
  if (!pass.together) std::fill(out.begin(), out.end(), T{0});
  const std::span<T> own = out.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(entries));
  fill_entries(law_,
               {.seed = derive_seed(seed_, kActivities), .step = pass.step, .stream = static_cast<std::uint32_t>(site)},
               example * round_up(entries, kGaussianGroup), own);
  if (!masked(site)) return;
  for (Index k = 0; k < tangents_; ++k) {
    T* u = own.data() + k * size;
    for (Index i = 0; i < size; ++i) u[i] = value[i] != T{0} ? u[i] : T{0};
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
  const std::size_t group = together_ ? 0 : site;
  const double signal = static_cast<double>(running_[0].values[group]);
  const double residual = static_cast<double>(running_[1].values[group]);
  const double active = static_cast<double>(running_[2].values[site]);
  const double noise = active * residual;
  const double allowed = options_.gate * static_cast<double>(tangents_) * signal;
  return allowed >= noise ? 1 : std::sqrt(allowed / noise);
}

// m + α (1/K) Σ_k d_k u_k, over B, in place of m, from the residual slopes d = s − u · m of one example.
template <class T>
void ActivityEstimator<T>::correct(const Pass& pass, std::size_t site, std::span<const T> residual_slopes, const T* u,
                                   Index batch, std::span<T> estimate, std::span<T> residual) const {
  const auto size = static_cast<Index>(estimate.size());
  if (pass.alpha[site] > 0 || pass.watching) {
    std::fill(residual.begin(), residual.end(), T{0});
    for (Index k = 0; k < pass.planes; ++k) {
      if (enters(k, site, pass.together)) {
        axpy(residual_slopes[k] / static_cast<T>(tangents_), u + k * size, residual.data(), size);
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
      slopes[k] = view.slopes[k][b];
      sums.signal[k] += static_cast<double>(slopes[k]) * static_cast<double>(slopes[k]);
    }
    // s_k − u_k · m, over the sites that share the slope.
    T* at = u.data();
    for (std::size_t site = 0; site < sizes_.size(); ++site) {
      const Index size = sizes_[site];
      const std::span<const T> value = row(visit.seen.values[site], b, size);
      if (pass.planes > 0) draw(pass, site, view.first + b, value, {at, static_cast<std::size_t>(pass.planes * size)});
      for (Index k = 0; k < pass.planes; ++k) {
        if (enters(k, site, pass.together)) slopes[k] -= dot(at + k * size, row(visit.out[site], b, size).data(), size);
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
      const bool watched = pass.watching && site < view.cuts.size();
      correct(pass, site, slopes, at, view.batch, row(visit.out[site], b, size),
              row(watched ? view.cuts[site].spare : std::span<T>(scratch), watched ? b : 0, size));
      at += pass.planes * size;
    }
  }
  return sums;
}

// The visit of these rows, the prior where the estimate goes. `error`: of one example's loss, not of the mean.
template <class T>
typename ActivityEstimator<T>::Visit ActivityEstimator<T>::predict(const GivenView<T>& view,
                                                                   std::span<const T> error) const {
  Visit visit{.seen = {.rows = view.rows, .error = error, .values = {}}, .out = {}};
  for (const auto& cut : view.cuts) {
    visit.seen.values.push_back(cut.value);
    visit.out.push_back(cut.cotangent);
  }
  prior_->predict(visit.seen, visit.out);
  if (!exact_head_) {
    std::fill(view.error.begin(), view.error.end(), T{0});
    visit.seen.values.push_back(view.error);
    visit.out.push_back(view.error);
  }
  return visit;
}

template <class T>
void ActivityEstimator<T>::give(const Pass& pass, const GivenView<T>& view, Tally& tally) {
  std::vector<T> error(view.error.begin(), view.error.end());
  for (T& e : error) e *= static_cast<T>(view.batch);
  const Index classes = static_cast<Index>(error.size()) / view.rows;
  for (Index b = 0; b < view.rows; ++b) {
    const T* e = error.data() + b * classes;
    const auto square = static_cast<double>(dot(e, e, classes));
    tally.squared_errors += square;
    tally.fourth_errors += square * square;
  }
  const Visit visit = predict(view, error);
  const Index pieces = (view.rows + kRowsAPiece - 1) / kRowsAPiece;
  std::vector<Sums> sums(static_cast<std::size_t>(pieces));
  parallel_for(pieces, [&](Index piece) {
    const Index begin = piece * kRowsAPiece;
    sums[piece] = estimate_rows(pass, view, visit, begin, std::min(view.rows, begin + kRowsAPiece));
  });
  for (const Sums& sum : sums) {
    for (std::size_t k = 0; k < sum.signal.size(); ++k) {
      const std::size_t group = pass.together ? 0 : k / static_cast<std::size_t>(tangents_);
      tally.noise[group].signal += sum.signal[k];
      tally.noise[group].residual += sum.residual[k];
    }
    for (std::size_t site = 0; site < sizes_.size(); ++site) tally.active[site] += sum.active[site];
  }
  for (std::size_t site = 0; pass.watching && site < view.cuts.size(); ++site)
    prior_->watch(visit.seen, site, view.cuts[site].spare);
}

// γ of each site. Slopes measure d = ∂loss/∂h − m with noise of variance ‖d‖²/K in every entry, over all n entries that
// share them, so that a batch multiplies the mean square of B's error by (1 − γ)² + γ² n / (K B'),
// B' = (Σ|e|²)² / Σ|e|⁴: as many examples as err alike, few where most are fitted. That is above 1 from γ = 2 γ* on and
// least at γ* = 1 / (1 + n / (K B')); half of γ* is on the safe side.
template <class T>
std::vector<double> ActivityEstimator<T>::paces(double pace) const {
  std::vector<double> paces;
  const double erring = last_.fourth_errors > 0 ? last_.squared_errors * last_.squared_errors / last_.fourth_errors : 0;
  const double slopes = static_cast<double>(tangents_) * erring;
  const Index all = std::accumulate(sizes_.begin(), sizes_.end(), Index{0});
  for (std::size_t site = 0; site < sites_.nodes.size(); ++site) {
    const auto entries = static_cast<double>(together_ ? all : sizes_[site]);
    paces.push_back(std::min(pace, 0.5 * slopes / (slopes + entries)));
  }
  return paces;
}

template <class T>
typename ActivityEstimator<T>::Tally ActivityEstimator<T>::blank_tally(bool together) const {
  Tally tally;
  tally.noise.resize(together ? 1 : sizes_.size());
  tally.active.resize(sizes_.size());
  return tally;
}

template <class T>
std::vector<std::span<double>> ActivityEstimator<T>::Tally::sums() {
  std::vector<std::span<double>> all{active, {&squared_errors, 1}, {&fourth_errors, 1}};
  for (ActivityNoise& of_group : noise) {
    all.emplace_back(&of_group.signal, 1);
    all.emplace_back(&of_group.residual, 1);
  }
  return all;
}

// What the giver of a pass adds to.
template <class T>
GivenSums<T> ActivityEstimator<T>::sums_of(const Pass& pass, Tally& tally) const {
  return {.doubles = tally.sums(), .numbers = pass.watching ? prior_->watched() : std::vector<std::span<T>>()};
}

template <class T>
typename ActivityEstimator<T>::Tally ActivityEstimator<T>::run(Objective<T>& objective, const GivenOptions& options,
                                                               const Pass& pass, const Parameters<T>& parameters,
                                                               std::span<T> out) {
  Tally tally = blank_tally(pass.together);
  if (options.ahead >= 0) {
    tally.loss = objective.given(options, parameters, nullptr, {}, {}, out).loss;
    return tally;
  }
  Perturbation<T> perturbation;
  if (pass.planes > 0) {
    perturbation = [&](std::size_t site, Index example, std::span<const T> value, std::span<T> tangents) {
      draw(pass, site, example, value, tangents);
    };
  }
  const auto giver = [&](const GivenView<T>& view) { give(pass, view, tally); };
  tally.loss = objective.given(options, parameters, nullptr, perturbation, giver, out, sums_of(pass, tally)).loss;
  const auto examples = static_cast<double>(objective.examples());
  for (ActivityNoise& noise : tally.noise) {
    if (tangents_ == 0) break;
    noise.signal /= examples * static_cast<double>(tangents_);
    noise.residual /= examples * static_cast<double>(tangents_);
  }
  for (double& active : tally.active) active /= examples;
  return tally;
}

template <class T>
GradientEstimate ActivityEstimator<T>::estimate(Objective<T>& objective, const Parameters<T>& parameters,
                                                std::uint32_t step) {
  const std::shared_ptr<DenseGradient<T>> gradient = objective.room(objective.size());
  prior_->begin(parameters);
  const Pass pass = make_pass(together_, step, prior_->learns());
  last_ = run(objective, given_options(together_), pass, parameters, gradient->edit());
  last_step_ = step;
  double variance = 0;
  for (std::size_t site = 0; site < sizes_.size() && tangents_ > 0; ++site) {
    variance += pass.alpha[site] * pass.alpha[site] * last_.active[site] * last_.noise[together_ ? 0 : site].residual /
                static_cast<double>(tangents_);
  }
  // Slopes of activities do not tell the norm of the gradient by the weights.
  constexpr double kInfinity = std::numeric_limits<double>::infinity(), kNaN = std::numeric_limits<double>::quiet_NaN();
  const NoiseEstimate noise{.squared_norm = kNaN,
                            .squared_norm_high = kInfinity,
                            .confidence = 1,
                            .residual_squared_norm = kNaN,
                            .snr_high = kInfinity};
  return {last_.loss, std::shared_ptr<const DenseGradient<T>>(gradient), noise,
          tangents_ > 0 ? last_.noise : std::vector<ActivityNoise>(), variance};
}

template <class T>
void ActivityEstimator<T>::learn(const GradientEstimate&, double pace) {
  prior_->learn(paces(options_.pace * pace), last_step_);
  remember();
}

template <class T>
std::vector<double> ActivityEstimator<T>::residuals(Objective<T>& objective, const Parameters<T>& parameters,
                                                    std::uint32_t step) {
  std::vector<double> shares;
  if (tangents_ == 0 || prior_->name() == "none") return shares;
  GivenOptions options = given_options(false);
  options.once = true;
  const std::shared_ptr<DenseGradient<T>> gradient = objective.room(objective.size());
  prior_->begin(parameters);
  for (const ActivityNoise& noise :
       run(objective, options, make_pass(false, step, false), parameters, gradient->edit()).noise)
    shares.push_back(noise.signal > 0 ? noise.residual / noise.signal : 0);
  return shares;
}

// The running means, their start without bias towards 0.
template <class T>
void ActivityEstimator<T>::remember() {
  ++seen_;
  const double share = (1 - kMemory) / (1 - std::pow(kMemory, static_cast<double>(seen_)));
  const auto follow = [share](T& mean, double value) {
    mean = static_cast<T>(static_cast<double>(mean) + share * (value - static_cast<double>(mean)));
  };
  for (std::size_t i = 0; i < last_.noise.size(); ++i) {
    follow(running_[0].values[i], last_.noise[i].signal);
    follow(running_[1].values[i], last_.noise[i].residual);
  }
  for (std::size_t site = 0; site < last_.active.size(); ++site) follow(running_[2].values[site], last_.active[site]);
}

template <class T>
std::vector<StatePart> ActivityEstimator<T>::state() const {
  return {{"means", detail::view_of(seen_, running_)}, {"prior", prior_->state()}};
}

template <class T>
void ActivityEstimator<T>::restore(const std::vector<StatePart>& state) {
  const StateView<T>& means = detail::part_of<T>(name(), state, "means");
  const StateView<T>& prior = detail::part_of<T>(name(), state, "prior");
  detail::check_state(name(), prior, prior_->state());
  detail::copy_state(name(), means, running_);
  seen_ = means.steps;
  prior_->restore(prior);
}

EstimatorFamily activities_family() {
  EstimatorFamily family =
      estimator_family<ActivityEstimator>("activities", "tangents at hidden activities, a slope for each example");
  family.sees_to_head = true;
  return family;
}

template class ActivityEstimator<float>;
template class ActivityEstimator<double>;

}  // namespace slopewise
