#include "slopewise/program/check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "slopewise/base/philox.hpp"
#include "slopewise/program/ops.hpp"

namespace slopewise {
namespace {

using Vector = std::vector<double>;

Vector random_vector(RandomStream& random, Index count, double low, double high) {
  Vector values(static_cast<std::size_t>(count));
  for (double& value : values) value = random.uniform(low, high);
  return values;
}

// Differences of losses of order one carry rounding of about 1e-10 at the steps used here: what is smaller than this
// cannot be told by them to six digits.
constexpr double kDifferenceFloor = 1e-3;

// max |a − b| over max |b|, or over `floor` where that is larger.
double difference(std::span<const double> a, std::span<const double> b, double floor = 1) {
  double error = 0;
  double scale = floor;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double gap = std::abs(a[i] - b[i]);
    error = std::isnan(gap) ? gap : std::max(error, gap);
    if (std::isnan(error)) return error;
    scale = std::max(scale, std::abs(b[i]));
  }
  return error / scale;
}

class Checker {
 public:
  Checker(const Program& program, const Parameters<double>& parameters, const Batch<double>& batch,
          const CheckOptions& options)
      : program_(program), parameters_(parameters), batch_(batch), options_(options), random_(options.seed) {}

  CheckReport run() {
    if (program_.size() > 0) {
      for (const Index k : options_.tangents) check_tangents(k);
      check_gradient();
      check_rank_one();
    }
    check_perturbed();
    return report_;
  }

 private:
  void note(std::string_view what, double error, double tolerance) {
    // The name comes after: GCC 12 sees an overrun in moving a string that is not there.
    report_.lines.emplace_back(CheckLine{.error = error, .tolerance = tolerance}).what = what;
  }

  double loss_at(const Parameters<double>& parameters) const {
    return Runner<double>(program_, {.batch = batch_.rows}).run(parameters, batch_).loss;
  }
  Parameters<double> moved(std::span<const double> direction, double step) const {
    Vector values(parameters_.values().begin(), parameters_.values().end());
    for (std::size_t i = 0; i < values.size(); ++i) values[i] += step * direction[i];
    return Parameters<double>(std::move(values));
  }
  RunResult<double> slopes(const Parameters<double>& parameters, Runner<double>& runner,
                           const Tangents<double>& tangents) const {
    return runner.run(parameters, batch_, &tangents);
  }

  // Richardson's extrapolation of a central difference: error of the fourth order in the step.
  template <class F>
  static double derivative(F f, double step) {
    const double wide = (f(step) - f(-step)) / (2 * step);
    const double narrow = (f(step / 2) - f(-step / 2)) / step;
    return (4 * narrow - wide) / 3;
  }

  void check_tangents(Index k) {
    const Vector directions = random_vector(random_, k * program_.size(), -1, 1);
    const auto direction = [&](Index i) {
      return std::span(directions)
          .subspan(static_cast<std::size_t>(i * program_.size()), static_cast<std::size_t>(program_.size()));
    };
    Runner<double> both(program_, {.batch = batch_.rows, .tangents = k, .order = 2});
    Runner<double> one(program_, {.batch = batch_.rows, .tangents = 1, .order = 2});
    const RunResult<double> found =
        both.run(parameters_, batch_, &keep(Tangents<double>::dense(program_.layout(), k, directions)));
    Vector by_difference, second_by_difference, alone, alone_second;
    for (Index i = 0; i < k; ++i) {
      const Tangents<double> single = Tangents<double>::dense(program_.layout(), 1, direction(i));
      const RunResult<double> result = one.run(parameters_, batch_, &single);
      alone.push_back(result.slopes[0]);
      alone_second.push_back(result.curvatures[0]);
      by_difference.push_back(
          derivative([&](double step) { return loss_at(moved(direction(i), step)); }, options_.step));
      second_by_difference.push_back(derivative(
          [&](double step) { return one.run(moved(direction(i), step), batch_, &single).slopes[0]; }, options_.step));
    }
    note(fmt::format("slopes against differences, K = {}", k),
         difference(found.slopes, by_difference, kDifferenceFloor), options_.first_order);
    note(fmt::format("second order against differences, K = {}", k),
         difference(found.curvatures, second_by_difference, kDifferenceFloor), options_.second_order);
    note(fmt::format("K = {} against one at a time", k),
         std::max(difference(found.slopes, alone), difference(found.curvatures, alone_second)), options_.value);
    note(fmt::format("loss with {} tangents against loss alone", k),
         std::abs(found.loss - loss_at(parameters_)) / (1 + std::abs(found.loss)), options_.value);
    note(fmt::format("example slopes average to the slope, K = {}", k), difference(example_means(found), found.slopes),
         options_.value);
  }

  Vector example_means(const RunResult<double>& result) const {
    Vector means;
    const auto rows = static_cast<std::size_t>(batch_.rows);
    for (std::size_t k = 0; k < result.slopes.size(); ++k) {
      const auto part = result.example_slopes.subspan(k * rows, rows);
      means.push_back(std::accumulate(part.begin(), part.end(), 0.0) / static_cast<double>(rows));
    }
    return means;
  }

  void check_gradient() {
    Vector gradient(static_cast<std::size_t>(program_.size()));
    Runner<double> exact(program_, {.mode = Workload::Mode::kPullback, .batch = batch_.rows});
    const RunResult<double> result = exact.gradient(parameters_, batch_, gradient);
    const Vector direction = random_vector(random_, program_.size(), -1, 1);
    Runner<double> forward(program_, {.batch = batch_.rows, .tangents = 1});
    const double slope =
        slopes(parameters_, forward, Tangents<double>::dense(program_.layout(), 1, direction)).slopes[0];
    const double product = std::inner_product(gradient.begin(), gradient.end(), direction.begin(), 0.0);
    double scale = 1;
    for (std::size_t i = 0; i < gradient.size(); ++i) scale += std::abs(gradient[i] * direction[i]);
    note("pullback against pushforward", std::abs(product - slope) / scale, options_.value);
    note("loss of the pullback", std::abs(result.loss - loss_at(parameters_)) / (1 + std::abs(result.loss)),
         options_.value);
    // Entry by entry: coordinate slopes, as many as are affordable.
    const Index step = std::max<Index>(1, program_.size() / 16);
    Vector by_slope, by_pullback;
    for (Index i = 0; i < program_.size(); i += step) {
      Vector unit(gradient.size(), 0.0);
      unit[i] = 1;
      by_slope.push_back(slopes(parameters_, forward, Tangents<double>::dense(program_.layout(), 1, unit)).slopes[0]);
      by_pullback.push_back(gradient[i]);
    }
    note("entries of the gradient against coordinate slopes", difference(by_pullback, by_slope), options_.value);
  }

  void check_rank_one() {
    constexpr Index kTangents = 2;
    std::vector<TangentForm> forms;
    for (std::size_t i = 0; i < program_.layout().segments.size(); ++i) {
      const Segment& segment = program_.layout().segments[i];
      const bool matrix = program_.layout().blocks[segment.block].weight == static_cast<Index>(i);
      forms.push_back(matrix ? TangentForm::kRankOne : TangentForm::kDense);
    }
    Tangents<double> structured(program_.layout(), kTangents, forms);
    Vector expanded(static_cast<std::size_t>(kTangents * program_.size()));
    for (std::size_t i = 0; i < forms.size(); ++i) {
      const auto number = static_cast<Index>(i);
      const Segment& segment = program_.layout().segments[i];
      for (Index k = 0; k < kTangents; ++k) {
        if (forms[i] == TangentForm::kRankOne) {
          for (double& value : structured.left(number, k)) value = random_.uniform(-1, 1);
          for (double& value : structured.right(number, k)) value = random_.uniform(-1, 1);
        } else {
          std::generate_n(structured.dense(number) + k * segment.size(), segment.size(),
                          [&] { return random_.uniform(-1, 1); });
        }
        structured.expand(number, k,
                          std::span(expanded).subspan(static_cast<std::size_t>(k * program_.size() + segment.offset),
                                                      static_cast<std::size_t>(segment.size())));
      }
    }
    Runner<double> factors(program_, {.batch = batch_.rows, .tangents = kTangents, .order = 2, .forms = forms});
    Runner<double> dense(program_, {.batch = batch_.rows, .tangents = kTangents, .order = 2});
    const RunResult<double> a = slopes(parameters_, factors, structured);
    const RunResult<double> b =
        slopes(parameters_, dense, Tangents<double>::dense(program_.layout(), kTangents, expanded));
    note("rank-one tangents against the same expanded",
         std::max(difference(a.slopes, b.slopes), difference(a.curvatures, b.curvatures)), options_.value);
  }

  // Tangents that enter at a numeric input, one an example, against moving that input.
  void check_perturbed() {
    for (std::size_t input = 0; input < program_.inputs().size(); ++input) {
      const Index number = program_.inputs()[input];
      if (program_.node(number).kind != GraphNode::Kind::kInput || !program_.used(number)) continue;
      const auto values = std::get<std::span<const double>>(batch_.inputs[input]);
      const auto width = static_cast<std::size_t>(program_.node(number).shape.size());
      const Vector direction = random_vector(random_, static_cast<Index>(values.size()), -1, 1);
      const Perturbation<double> fill = [&](std::size_t, Index example, std::span<const double>,
                                            std::span<double> out) {
        std::copy_n(direction.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(example) * width), width,
                    out.begin());
      };
      const auto run_moved = [&](double step) {
        Vector shifted(values.begin(), values.end());
        for (std::size_t i = 0; i < shifted.size(); ++i) shifted[i] += step * direction[i];
        Batch<double> batch = batch_;
        batch.inputs[input] = std::span<const double>(shifted);
        Runner<double> runner(program_, workload({number}));
        const RunResult<double> result = runner.run(parameters_, batch, nullptr, fill);
        struct {
          double loss, slope, second;
          Vector losses, example_slopes;
        } all{result.loss, result.slopes[0], result.curvatures[0], Vector(result.losses.begin(), result.losses.end()),
              Vector(result.example_slopes.begin(), result.example_slopes.end())};
        return all;
      };
      const auto here = run_moved(0);
      Vector per_example;
      for (std::size_t b = 0; b < here.losses.size(); ++b) {
        per_example.push_back(derivative([&](double step) { return run_moved(step).losses[b]; }, options_.step));
      }
      const std::string& name = program_.node(number).name;
      note(fmt::format("per-example slopes along perturbed '{}'", name),
           difference(here.example_slopes, per_example, kDifferenceFloor), options_.first_order);
      const double second = derivative([&](double step) { return run_moved(step).slope; }, options_.step);
      note(fmt::format("second order along perturbed '{}'", name),
           std::abs(here.second - second) / std::max(1.0, std::abs(second)), options_.second_order);
    }
  }
  Workload workload(std::vector<Index> perturbed) const {
    return {.batch = batch_.rows,
            .tangents = 1,
            .order = 2,
            .forms = std::vector<TangentForm>(program_.layout().segments.size(), TangentForm::kNone),
            .perturbed = std::move(perturbed)};
  }
  const Tangents<double>& keep(Tangents<double> tangents) { return kept_.emplace_back(std::move(tangents)); }

  const Program& program_;
  const Parameters<double>& parameters_;
  const Batch<double>& batch_;
  CheckOptions options_;
  RandomStream random_;
  std::vector<Tangents<double>> kept_;
  CheckReport report_;
};

}  // namespace

bool CheckReport::passed() const {
  return std::all_of(lines.begin(), lines.end(), [](const CheckLine& line) { return line.passed(); });
}

std::string CheckReport::to_string() const {
  std::string text;
  for (const CheckLine& line : lines) {
    text += fmt::format("{} {:<60} {:.3g} (at most {:.3g})\n", line.passed() ? "ok    " : "FAILED", line.what,
                        line.error, line.tolerance);
  }
  return text;
}

CheckReport check_program(const Program& program, const Parameters<double>& parameters, const Batch<double>& batch,
                          const CheckOptions& options) {
  return Checker(program, parameters, batch, options).run();
}

CheckReport check_op(const OpExample& example, const CheckOptions& options) {
  RandomStream random(options.seed, 1);
  Builder build;
  // x = data + θ: the op sees a tangent from the parameters, one from the input, and a gradient summed over examples.
  const Node data = build.input("x", example.input);
  const Node theta = build.parameter("theta", example.input, {}, std::max<Index>(1, example.input.size()));
  const Node y = example.build(add(data, theta));
  const Node weights = build.input("weights", y.shape());
  const Program program(sum(mul(y, weights)));

  const double middle = (example.low + example.high) / 2;
  const double half = (example.high - example.low) / 2;
  Vector values(static_cast<std::size_t>(program.size()));
  for (double& value : values) value = random.uniform(-half / 2, half / 2);
  Batch<double> batch{.rows = options.batch, .inputs = {}};
  std::vector<Vector> numbers(program.inputs().size());
  std::vector<std::vector<std::int32_t>> integers(program.inputs().size());
  for (std::size_t i = 0; i < program.inputs().size(); ++i) {
    const GraphNode& input = program.node(program.inputs()[i]);
    const Index count = options.batch * input.shape.size();
    if (input.kind == GraphNode::Kind::kIndices) {
      for (Index j = 0; j < count; ++j)
        integers[i].push_back(static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(example.index_limit))));
      batch.inputs.emplace_back(std::span<const std::int32_t>(integers[i]));
    } else {
      numbers[i] = input.name == "x" ? random_vector(random, count, middle - half / 2, middle + half / 2)
                                     : random_vector(random, count, -1, 1);
      batch.inputs.emplace_back(std::span<const double>(numbers[i]));
    }
  }
  return check_program(program, Parameters<double>(std::move(values)), batch, options);
}

}  // namespace slopewise
