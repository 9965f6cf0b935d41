#include "slopewise/audit/curvature.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/philox.hpp"
#include "slopewise/objective/body_objective.hpp"

namespace slopewise {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::uint64_t kTraceSeed = 0x74726163, kEstimateSeed = 0x65737469;
// Steps of Lanczos' method, and mini-batches whose mean it looks at.
constexpr int kLanczosSteps = 6;
constexpr Index kLanczosBatches = 2;
// Estimates of a method whose theory is not known, for each so many draws.
constexpr Index kDrawsAnEstimate = 4;

Measured known(double value) {
  return {.value = value, .error = 0, .degrees = kInfinity};
}

// The mean over a subject's first mini-batches, as one objective.
class MeanOfBatches final : public Objective<float> {
 public:
  MeanOfBatches(AuditSubject& subject, Index batches) : subject_(subject), batches_(batches) {}
  const ParameterLayout& layout() const override { return subject_.layout(); }
  double loss(const Parameters<float>& parameters) override { return subject_.objective(0).loss(parameters); }
  Slopes slopes(const Parameters<float>& parameters, const Tangents<float>& tangents) override {
    return subject_.objective(0).slopes(parameters, tangents);
  }
  Slopes curvatures(const Parameters<float>& parameters, const Tangents<float>& tangents) override {
    return subject_.objective(0).curvatures(parameters, tangents);
  }
  double gradient(const Parameters<float>& parameters, std::span<float> out) override {
    part_.resize(out.size());
    std::ranges::fill(out, 0.0F);
    double loss = 0;
    for (Index batch = 0; batch < batches_; ++batch) {
      loss += subject_.objective(batch).gradient(parameters, part_);
      for (std::size_t i = 0; i < out.size(); ++i) out[i] += part_[i] / static_cast<float>(batches_);
    }
    return loss / static_cast<double>(batches_);
  }

 private:
  AuditSubject& subject_;
  Index batches_;
  std::vector<float> part_;
};

// Entries of θ that come before the head; all of them where no method has an exact head.
Index body_size(const AuditSubject& subject, std::span<const AuditMethod> methods) {
  const bool exact_head = std::ranges::any_of(methods, [&](const AuditMethod& method) {
    return method.settings.estimator == "forward" &&
           estimator_options(method.settings, subject.block(), 0).exact_head.value_or(false);
  });
  if (!exact_head) return subject.size();
  return BodyObjective<float>(subject.program(), subject.block().sites).layout().size;
}

// The entries [first, last) of the K tangents of a draw, and 0 elsewhere.
void write_part(const Draw& draw, Index first, Index last, Tangents<float>& out) {
  for (std::size_t s = 0; s < out.layout().segments.size(); ++s) {
    const Segment& segment = out.layout().segments[s];
    float* const entries = out.dense(static_cast<Index>(s));
    const Index size = segment.size();
    for (Index k = 0; k < draw.count(); ++k) {
      const std::span<float> to(entries + k * size, static_cast<std::size_t>(size));
      if (segment.offset >= first && segment.offset < last) {
        draw.fill(k, segment.offset, to);
      } else {
        std::ranges::fill(to, 0.0F);
      }
    }
  }
}

// Slopes and second-order terms along tangents of the law that weights are trained by.
struct TangentTerms {
  std::vector<double> squares, curvatures, products;  // s², c = vᵀHv on another mini-batch, s²c: of the body
  std::vector<double> head;                           // c along tangents of the head alone; empty where there is none
};

TangentTerms draw_terms(AuditSubject& subject, Index body, Index draws, Index at_once, std::uint64_t seed,
                        const std::function<void()>& told) {
  const auto probe = make_probe("rank-one", subject.layout(), seed);
  Tangents<float> tangents(subject.layout(), at_once,
                           std::vector(subject.layout().segments.size(), TangentForm::kDense));
  TangentTerms terms;
  for (Index pass = 0; pass * at_once < draws; ++pass) {
    check_interrupted("measuring curvature");
    const auto draw = probe->draw(static_cast<std::uint32_t>(pass), at_once);
    write_part(*draw, 0, body, tangents);
    const Index batch = pass % subject.batches(), other = (pass + 1) % subject.batches();
    const std::vector<double> slopes = subject.objective(batch).slopes(subject.theta(), tangents).slopes;
    const std::vector<double> found = subject.objective(other).curvatures(subject.theta(), tangents).curvatures;
    for (std::size_t k = 0; k < found.size(); ++k) {
      terms.squares.push_back(slopes[k] * slopes[k]);
      terms.curvatures.push_back(found[k]);
      terms.products.push_back(slopes[k] * slopes[k] * found[k]);
    }
    if (body < subject.size()) {
      write_part(*draw, body, subject.size(), tangents);
      const std::vector<double> more = subject.objective(other).curvatures(subject.theta(), tangents).curvatures;
      terms.head.insert(terms.head.end(), more.begin(), more.end());
    }
    told();
  }
  return terms;
}

// Estimates g of a method on mini-batches, looked at on others.
struct EstimateTerms {
  std::vector<double> signals, bends, squares;  // g·∇_B′, gᵀH_B′g, ‖g‖²
};

EstimateTerms observe(AuditSubject& subject, const AuditMethod& method, Index draws, std::uint64_t seed) {
  const auto estimator =
      make_estimator<float>(method.settings.estimator, EstimatorTarget(subject.program(), subject.block().sites),
                            estimator_options(method.settings, subject.block(), seed));
  EstimateTerms terms;
  Tangents<float> direction(subject.layout(), 1, std::vector(subject.layout().segments.size(), TangentForm::kDense));
  std::vector<float> g(static_cast<std::size_t>(subject.size()));
  for (Index draw = 0; draw < draws; ++draw) {
    check_interrupted("looking at steps");
    const GradientEstimate estimate = estimator->estimate(subject.objective(draw % subject.batches()), subject.theta(),
                                                          static_cast<std::uint32_t>(draw));
    estimate.materialize(g);
    for (std::size_t s = 0; s < subject.layout().segments.size(); ++s) {
      const Segment& segment = subject.layout().segments[s];
      std::copy_n(g.begin() + segment.offset, segment.size(), direction.dense(static_cast<Index>(s)));
    }
    const Slopes found = subject.objective((draw + 1) % subject.batches()).curvatures(subject.theta(), direction);
    terms.signals.push_back(found.slopes[0]);
    terms.bends.push_back(found.curvatures[0]);
    terms.squares.push_back(estimate.squared_norm());
  }
  return terms;
}

double mean_value(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

// E‖∇_B‖² of the parameters before entry `end` of θ.
double batch_square_before(const AuditSubject& subject, const AuditNoise& noise, Index end) {
  double sum = 0;
  for (std::size_t b = 0; b < noise.blocks.size(); ++b) {
    const Index segment = subject.layout().blocks[b].weight;
    if (subject.layout().segments[segment].offset < end) sum += noise.blocks[b].batch_squared_norm;
  }
  return sum;
}

// One standard error from independent ones, by finite differences.
template <std::size_t N, class Function>
Measured propagated(const std::array<Measured, N>& inputs, Function function) {
  std::array<double, N> at{};
  for (std::size_t i = 0; i < N; ++i) at[i] = inputs[i].value;
  double squares = 0;
  for (std::size_t i = 0; i < N; ++i) {
    if (!(inputs[i].error > 0)) continue;
    std::array<double, N> high = at, low = at;
    const double step = std::min(inputs[i].error, std::abs(at[i]) / 2);
    if (!(step > 0)) continue;
    high[i] += step;
    low[i] -= step;
    const double slope = (function(high) - function(low)) / (2 * step);
    squares += slope * slope * inputs[i].error * inputs[i].error;
  }
  return {.value = function(at), .error = std::sqrt(squares), .degrees = kInfinity};
}

MethodOutlook outlook_of(const std::string& name, const Measured& signal, const Measured& bend, double squared_length,
                         double squared_norm) {
  MethodOutlook found{.method = name, .signal = signal, .bend = bend, .squared_length = squared_length};
  const double along = signal.value * signal.value / squared_norm;
  found.cosine = signal.value / std::sqrt(squared_length * squared_norm);
  found.snr = along / std::max(squared_length - along, 0.0);
  return found;
}

}  // namespace

double AuditCurvature::effective_dimension() const {
  return largest.value > 0 ? trace.value / largest.value : kUnknown;
}

StepOutlook on_the_way(const StepOutlook& outlook, double exact_bend) {
  return {outlook.signal, outlook.bend + std::max(0.0, outlook.bend - std::max(0.0, exact_bend))};
}

namespace {

// What decides steps along tangents of weights. With q = E[∇_BᵀH∇_B], q_P that of the P parameters that have tangents,
// and A = E[s²c] over one tangent of those: g = (1/K) Σ s_k v_k on them and ∇_B on the rest has E[gᵀHg] = q +
// (A − q_P)/K. A is E‖∇_B,P‖² times the mean of c weighted by s², which scatters less than s²c.
struct WeightTerms {
  Measured whole, part;                // q, q_P
  Measured weighted;                   // A/E‖∇_B,P‖²
  double square = 0, part_square = 0;  // E‖∇_B‖², E‖∇_B,P‖²
  Index size = 0, part_size = 0;       // n, n_P

  // A is at least 3 q_P where no curvature is negative, as tr H is then no less than that along the gradient; draws on
  // few mini-batches may miss the steep ones. Differences move all weights; the curvature that their head meets is then
  // taken for that of the rest.
  Measured bend(double tangents, bool all) const {
    return propagated(std::array{whole, weighted, part}, [&](const std::array<double, 3>& x) {
      return x[0] + (std::max((all ? square : part_square) * x[1], 3 * x[2]) - x[2]) / tangents;
    });
  }
  double squared_length(double tangents, bool all) const {
    return square + (all ? square : part_square) * static_cast<double>((all ? size : part_size) + 1) / tangents;
  }
};

// q and q_P, by exact gradients.
void measure_along_gradients(AuditSubject& subject, WeightTerms& terms) {
  std::vector<double> whole, part;
  std::vector<float> gradient(static_cast<std::size_t>(subject.size()));
  for (Index batch = 0; batch < subject.batches(); ++batch) {
    check_interrupted("measuring curvature along gradients");
    ProgramObjective<float>& of_batch = subject.objective(batch);
    of_batch.gradient(subject.theta(), gradient);
    ProgramObjective<float>& other = subject.objective((batch + 1) % subject.batches());
    whole.push_back(curvature_along(other, subject.theta(), gradient));
    std::fill(gradient.begin() + terms.part_size, gradient.end(), 0.0F);
    part.push_back(terms.part_size < terms.size ? curvature_along(other, subject.theta(), gradient) : whole.back());
  }
  terms.whole = whole.size() > 1 ? mean_of(whole) : known(whole.front());
  terms.part = part.size() > 1 ? mean_of(part) : known(part.front());
}

// The slowdown's logarithm. A signal that both have in common is one number, whose error falls out.
Measured log_slowdown(const MethodOutlook& method, const MethodOutlook& backprop, double largest) {
  const bool common = method.signal.value == backprop.signal.value;
  return propagated(
      std::array{method.signal, method.bend, backprop.signal, backprop.bend}, [&](const std::array<double, 4>& x) {
        const StepOutlook own{x[0], x[1]}, exact{common ? x[0] : x[2], x[3]};
        const StepOutlook way = on_the_way(own, exact.bend);
        return std::log(exact.decrease(exact.best_rate(largest))) - std::log(way.decrease(way.best_rate(largest)));
      });
}

// Of estimates that are looked at.
MethodOutlook observed(const AuditMethod& method, const EstimateTerms& terms, const Measured& signal,
                       double squared_norm) {
  return outlook_of(method.name, signal, mean_of(terms.bends), mean_value(terms.squares), squared_norm);
}

}  // namespace

AuditOutlook measure_outlook(const AuditTask& task, AuditSubject& subject, const AuditNoise& noise,
                             std::span<const AuditMethod> methods,
                             const std::function<bool(const AuditMethod&)>& observable, Index draws,
                             const std::function<void(double share)>& told) {
  AuditOutlook found;
  const double squared_norm = noise.squared_norm.value > 0 ? noise.squared_norm.value : kUnknown;
  const bool exact = noise.reference != Reference::kSlopes;
  const double parts = 2 + static_cast<double>(methods.size());
  if (exact) {
    MeanOfBatches mean(subject, std::min(subject.batches(), kLanczosBatches));
    found.curvature.largest = largest_curvature(mean, subject.theta(), noise.gradient, kLanczosSteps);
  }
  told(1 / parts);

  WeightTerms weights{.square = noise.batch_squared_norm.value,
                      .size = subject.size(),
                      .part_size = exact ? body_size(subject, methods) : subject.size()};
  weights.part_square = exact ? batch_square_before(subject, noise, weights.part_size) : weights.square;
  const Index at_once = exact && task.memory == 0 ? 8 : 1;
  const TangentTerms terms =
      draw_terms(subject, weights.part_size, draws, at_once, derive_seed(task.seed, kTraceSeed),
                 [&] { told(static_cast<double>(at_once) / (parts * static_cast<double>(draws))); });
  found.curvature.trace = mean_of(terms.curvatures);
  if (!terms.head.empty()) {
    const Measured head = mean_of(terms.head);
    found.curvature.trace.value += head.value;
    found.curvature.trace.error = std::hypot(found.curvature.trace.error, head.error);
  }
  const std::vector<double> columns[] = {terms.squares, terms.products};
  // Where no slope is anything, as in a body with nothing to follow, it counts for nothing.
  weights.weighted =
      function_of_means(columns, [](std::span<const double> mean) { return mean[0] > 0 ? mean[1] / mean[0] : 0.0; });
  weights.whole = weights.part = known(kUnknown);
  if (exact) {
    measure_along_gradients(subject, weights);
    found.curvature.along_gradient = weights.whole;
    found.curvature.along_gradient.value /= weights.square;
    found.curvature.along_gradient.error /= weights.square;
  } else {
    found.curvature.along_gradient = known(kUnknown);
    weights.whole = weights.part = known(0);  // they cancel for K = 1, and others are looked at
  }
  for (const AuditMethod& method : methods) {
    told(1 / parts);
    const auto tangents = static_cast<double>(method.settings.options.tangents);
    if (method.network == AuditMethod::Network::kLocal) continue;
    if (method.network == AuditMethod::Network::kTop) {
      if (task.forward_only || !observable(method)) continue;
      const Index looks = std::max<Index>(2, subject.batches());
      const Network& network = network_of(task, method);
      const EstimateTerms of = [&] {
        if (network.training.front().program == task.network.training.front().program)
          return observe(subject, method, looks, task.seed);
        AuditTask of_top = task;
        of_top.network = network;
        AuditSubject top(of_top);
        return observe(top, method, looks, task.seed);
      }();
      found.methods.push_back(observed(method, of, mean_of(of.signals), squared_norm));
    } else if (method.exact()) {
      if (exact)
        found.methods.push_back(
            outlook_of(method.name, noise.squared_norm, weights.whole, weights.square, squared_norm));
    } else if (method.at_weights() && (exact || tangents == 1)) {
      const bool all = method.settings.estimator == "central";
      found.methods.push_back(outlook_of(method.name, noise.squared_norm, weights.bend(tangents, all),
                                         weights.squared_length(tangents, all), squared_norm));
    } else if (observable(method)) {
      const Index estimates = std::max<Index>(8, draws / kDrawsAnEstimate);
      const EstimateTerms of = observe(subject, method, estimates, derive_seed(task.seed, kEstimateSeed));
      found.methods.push_back(
          observed(method, of, method.biased() ? mean_of(of.signals) : noise.squared_norm, squared_norm));
    }
  }
  const auto backprop = std::ranges::find_if(found.methods, [](const MethodOutlook& method) {
    return method.method == "backprop" || method.method == "checkpointed backprop";
  });
  const double largest = found.curvature.largest.value;
  for (MethodOutlook& method : found.methods) {
    // Exact gradients have no tangents' noise that would count twice.
    const auto own = std::ranges::find(methods, method.method, &AuditMethod::name);
    const double exact_bend = own != methods.end() && own->exact() ? method.bend.value
                              : exact                              ? weights.whole.value
                                                                   : 0;
    const StepOutlook way = on_the_way(method.outlook(), exact_bend);
    method.rate = way.best_rate(largest);
    method.decrease = method.rate > 0 ? way.decrease(method.rate) : kUnknown;
    method.log_slowdown = backprop == found.methods.end() ? known(kUnknown) : log_slowdown(method, *backprop, largest);
  }
  return found;
}

}  // namespace slopewise
