#include "slopewise/study/context.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/data/batches.hpp"
#include "slopewise/model/initialize.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/tensor/vector.hpp"
#include "slopewise/train/evaluation.hpp"

namespace slopewise {
namespace {

// Entries of θ drawn for the pool altogether; the number of samples follows from the network's size.
constexpr double kPoolEntries = 6e9;
// With fewer samples the far tail of their kurtosis is not that of its law: of 500 it lies beyond an interval of
// 99.9 % twice as often as it should.
constexpr Index kLeastPool = 500;
constexpr Index kTrackedAGroup = 32;
// Entries of the gradient that are not 0, at least: laws of many are tested.
constexpr Index kLeastEntries = 100;
// Floating-point operations of the samples for one claim, in a full run: some minutes.
constexpr double kFullWork = 2e13;

// Samples of one pass: as many as have about so many entries for each time that an example uses a weight, so that the
// loss's own products are made once for all, and tangents are in the cache where they are used once.
constexpr Index kPassEntries = Index{1} << 20;
constexpr Index kMostTogether = 8;

Index samples_a_pass(const Subject& subject) {
  const double products = 2 * static_cast<double>(subject.size()) * static_cast<double>(subject.examples());
  const double uses = ForwardPass<float>(subject.program()).cost(subject.examples()).value_flops / products;
  const double entries = static_cast<double>(kPassEntries) * std::max(1.0, std::floor(uses));
  return std::clamp<Index>(static_cast<Index>(entries / static_cast<double>(subject.size())), 1, kMostTogether);
}

// FNV-1a, to turn a purpose's name into a number.
std::uint64_t hash(std::string_view text) {
  std::uint64_t value = 0xCBF29CE484222325;
  for (const char letter : text) value = (value ^ static_cast<unsigned char>(letter)) * 0x100000001B3;
  return value;
}

// One thread's own objective and tangents.
struct Sampler {
  Sampler(const Subject& subject, const Probe& probe, Index together)
      : objective(subject.objective()), tangents(probe.layout(), together, probe.forms()) {}
  ProgramObjective<float> objective;
  Tangents<float> tangents;
};

}  // namespace

Subject::Subject(ChainBlock block, Parameters<float> parameters, const Dataset& data, std::span<const Index> indices)
    : block_(std::move(block)),
      batch_(std::make_unique<ExampleBatch<float>>(data, indices)),
      examples_(std::ssize(indices)),
      parameters_(std::move(parameters)) {
  std::vector<float> exact(static_cast<std::size_t>(size()));
  ProgramObjective<float> whole(program(), batch_->batch(), {.micro_batch = kInFlight});
  loss_ = whole.gradient(parameters_, exact);
  gradient_.assign(exact.begin(), exact.end());
  view_ = std::make_unique<GradientView>(layout(), gradient_);
  if (view_->squared_norm() == 0) {
    throw NumericError("study: the exact gradient is 0, so an estimate has nothing to be compared with");
  }
}

Curvature Subject::curvature(Index samples, std::uint64_t seed) const {
  ProgramObjective<float> whole = objective();
  return measure_curvature(whole, parameters_, gradient(), samples, seed);
}

bool has_large_share(const GradientView& gradient, Index i) {
  constexpr double kLargeShare = 0.01;
  return gradient[i] * gradient[i] > kLargeShare * gradient.squared_norm();
}

std::vector<double> Samples::squared_gradient_norms() const {
  std::vector<double> norms(slopes.size());
  for (std::size_t j = 0; j < norms.size(); ++j) norms[j] = slopes[j] * slopes[j] * squared_norms[j];
  return norms;
}

double squared_norm(const Draw& draw, const Tangents<float>& written, Index k) {
  constexpr Index kPiece = 4096;  // summed in float
  if (std::ranges::any_of(written.forms(), [](TangentForm form) { return form != TangentForm::kDense; })) {
    return draw.squared_norm(k);
  }
  double total = 0;
  for (std::size_t s = 0; s < written.forms().size(); ++s) {
    const Index size = written.layout().segments[s].size();
    const float* entries = written.dense(static_cast<Index>(s)) + k * size;
    for (Index first = 0; first < size; first += kPiece) {
      total += double{dot(entries + first, entries + first, std::min(kPiece, size - first))};
    }
  }
  return total;
}

namespace {

double flops_together(const Subject& subject, Index tangents) {
  return ForwardPass<float>(subject.program(), {.tangents = tangents}).cost(subject.examples()).flops() /
         static_cast<double>(tangents);
}

}  // namespace

double slope_flops(const Subject& subject) {
  return flops_together(subject, 1);
}

double sample_flops(const Subject& subject) {
  return flops_together(subject, samples_a_pass(subject));
}

Samples draw_samples(const Subject& subject, const Probe& probe, Index count, std::vector<Index> tracked,
                     const ShareDone& done) {
  Samples samples;
  samples.tracked = std::move(tracked);
  samples.slopes.resize(static_cast<std::size_t>(count));
  samples.squared_norms.resize(samples.slopes.size());
  samples.entries.resize(samples.slopes.size() * samples.tracked.size());
  subject.objective().loss(subject.parameters());  // packs the weights before threads read them
  const Index together = samples_a_pass(subject);
  samples.together = together;
  PerThread<Sampler> samplers;
  parallel_for((count + together - 1) / together, [&](Index pass) {
    check_interrupted("drawing forward gradients");
    Sampler& own = samplers.own(subject, probe, together);
    const std::shared_ptr<const Draw> draw = probe.draw(static_cast<std::uint32_t>(pass), together);
    draw->write(own.tangents);
    const std::vector<double> slopes = own.objective.slopes(subject.parameters(), own.tangents).slopes;
    const Index first = pass * together, size = std::min(together, count - first);
    for (Index k = 0; k < size; ++k) {
      const auto at = static_cast<std::size_t>(first + k);
      samples.slopes[at] = slopes[k];
      samples.squared_norms[at] = squared_norm(*draw, own.tangents, k);
      for (std::size_t t = 0; t < samples.tracked.size(); ++t) {
        draw->fill(k, samples.tracked[t], std::span(&samples.entries[at * samples.tracked.size() + t], 1));
      }
    }
    if (done) done(static_cast<double>(size) / static_cast<double>(count));
  });
  return samples;
}

void fill_tangent(const Probe& probe, const Samples& samples, Index j, std::span<double> out) {
  probe.draw(static_cast<std::uint32_t>(j / samples.together), samples.together)->fill(j % samples.together, 0, out);
}

namespace {

StudyOptions resolved(StudyOptions options, const Dataset& train, bool perceptron) {
  if (options.batch == 0) options.batch = std::min<Index>(options.quick && !perceptron ? 16 : 64, train.count());
  if (options.batch < 2 || options.batch > train.count())
    throw ArgumentError(fmt::format("batch: expected 2 to {} examples, found {}", train.count(), options.batch));
  return options;
}

}  // namespace

StudyContext::StudyContext(StudyOptions options, Dataset train, StudyNetwork network)
    : options_(resolved(options, train, network.perceptron)),
      train_(std::move(train)),
      network_(std::move(network)),
      subject_(subject_on(examples(options_.batch))) {
  const std::span<const double> gradient = subject_.gradient().values();
  const auto entries = static_cast<Index>(gradient.size()) - std::ranges::count(gradient, 0.0);
  if (entries < kLeastEntries) {
    throw NumericError(fmt::format(
        "study: expected a gradient of {} entries or more that are not 0, as laws of many are tested, found "
        "{} of {}",
        kLeastEntries, entries, gradient.size()));
  }
}

std::uint64_t StudyContext::seed(std::string_view purpose) const {
  return derive_seed(options_.seed, hash(purpose));
}

Index StudyContext::samples(Index full, Index least, double flops) const {
  const Index share = options_.quick ? 10 : 1;
  Index count = full / share;
  if (flops > 0) count = std::min(count, static_cast<Index>(kFullWork / static_cast<double>(share) / flops));
  return options_.quick || flops > 0 ? std::max(std::min(least, full), count) : count;
}

std::vector<Index> StudyContext::examples(Index count) const {
  return Batches(train_.count(), count, seed("examples")).indices(0);
}

Subject StudyContext::subject_on(std::span<const Index> indices) const {
  return {network_.network.evaluating.front(), network_.network.initial(0, seed("weights")), train_, indices};
}

ChainBlock StudyContext::perceptron_block(std::span<const Index> hidden) const {
  const NetworkSpec spec{.family = "mlp", .hidden = {hidden.begin(), hidden.end()}};
  return make_chain(spec, {train_.image_shape.size()}, target_of(train_), false).front();
}

Subject StudyContext::perceptron(std::span<const Index> hidden, std::span<const Index> indices) const {
  ChainBlock block = perceptron_block(hidden);
  Parameters<float> start = initialize<float>(block.program->layout(), seed("weights"));
  return {std::move(block), std::move(start), train_, indices};
}

Subject StudyContext::perceptron(std::span<const Index> hidden) const {
  return perceptron(hidden, examples(options_.batch));
}

Subject StudyContext::small() const {
  const Index hidden = 8;
  return perceptron({&hidden, 1});
}

Subject StudyContext::tiny() const {
  const Node x = Builder().input("image", train_.image_shape);
  const Node logits = linear(flatten(average_pool2d(x, train_.image_shape[0] / kTiny)), train_.classes);
  const auto program = std::make_shared<const Program>(cross_entropy(logits, Builder(logits).indices("label", {})));
  return {{.program = program, .sites = {.logits = logits.number()}, .output = logits.number(), .noisy = false},
          initialize<float>(program->layout(), seed("weights")),
          train_,
          examples(options_.batch)};
}

const Samples& StudyContext::pool() {
  if (pool_) return *pool_;
  const GradientView& gradient = subject_.gradient();
  std::vector<Index> order(static_cast<std::size_t>(gradient.size()));
  std::iota(order.begin(), order.end(), 0);
  std::erase_if(order, [&](Index i) { return gradient[i] == 0; });
  std::sort(order.begin(), order.end(),
            [&](Index a, Index b) { return std::abs(gradient[a]) > std::abs(gradient[b]); });
  const auto size = static_cast<Index>(order.size());
  const Index group = std::min(kTrackedAGroup, size / 3);
  std::vector<Index> tracked;
  for (const Index first : {Index{0}, (size - group) / 2, size - group}) {
    tracked.insert(tracked.end(), order.begin() + first, order.begin() + first + group);
  }
  const Index count =
      std::clamp<Index>(static_cast<Index>(kPoolEntries / static_cast<double>(gradient.size())), 1000, 25000);
  pool_ = draw_samples(subject_, *make_probe("gaussian", subject_.layout(), seed("pool")),
                       samples(count, kLeastPool, sample_flops(subject_)), std::move(tracked), progress_);
  return *pool_;
}

}  // namespace slopewise
