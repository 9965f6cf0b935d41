#include "slopewise/study/context.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

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

namespace slopewise {
namespace {

// Entries of θ drawn for the pool altogether; the number of samples follows from the network's size.
constexpr double kPoolEntries = 6e9;
constexpr Index kTrackedAGroup = 32;
// Pixels along a side of the images that tiny() sees.
constexpr Index kTiny = 4;

// Samples of one pass: as many as have about so many entries, so that the loss's own products are made once for all.
constexpr Index kPassEntries = Index{1} << 20;
constexpr Index kMostTogether = 8;

Index samples_a_pass(const Probe& probe) {
  return std::clamp<Index>(kPassEntries / probe.layout().size, 1, kMostTogether);
}

// FNV-1a, to turn a purpose's name into a number.
std::uint64_t hash(std::string_view text) {
  std::uint64_t value = 0xCBF29CE484222325;
  for (const char letter : text) value = (value ^ static_cast<unsigned char>(letter)) * 0x100000001B3;
  return value;
}

// One thread's own objective and tangents.
struct Sampler {
  Sampler(const Subject& subject, const Probe& probe)
      : objective(subject.objective()), tangents(probe.layout(), samples_a_pass(probe), probe.forms()) {}
  ProgramObjective<float> objective;
  Tangents<float> tangents;
};

}  // namespace

Subject::Subject(Model model, const Dataset& data, std::span<const Index> indices, std::uint64_t seed)
    : model_(std::make_unique<Model>(std::move(model))),
      batch_(std::make_unique<ExampleBatch<float>>(data, indices)),
      parameters_(initialize<float>(model_->program.layout(), seed)) {
  std::vector<float> exact(static_cast<std::size_t>(size()));
  loss_ = objective().gradient(parameters_, exact);
  gradient_.assign(exact.begin(), exact.end());
  view_ = std::make_unique<GradientView>(layout(), gradient_);
}

Curvature Subject::curvature(Index samples, std::uint64_t seed) const {
  ProgramObjective<float> whole = objective();
  return measure_curvature(whole, parameters_, gradient(), samples, seed);
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

Samples draw_samples(const Subject& subject, const Probe& probe, Index count, std::vector<Index> tracked,
                     const ShareDone& done) {
  Samples samples;
  samples.tracked = std::move(tracked);
  samples.slopes.resize(static_cast<std::size_t>(count));
  samples.squared_norms.resize(samples.slopes.size());
  samples.entries.resize(samples.slopes.size() * samples.tracked.size());
  subject.objective().loss(subject.parameters());  // packs the weights before threads read them
  const Index together = samples_a_pass(probe);
  PerThread<Sampler> samplers;
  parallel_for((count + together - 1) / together, [&](Index pass) {
    check_interrupted("drawing forward gradients");
    Sampler& own = samplers.own(subject, probe);
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

void fill_tangent(const Probe& probe, Index j, std::span<double> out) {
  const Index together = samples_a_pass(probe);
  probe.draw(static_cast<std::uint32_t>(j / together), together)->fill(j % together, 0, out);
}

StudyContext::StudyContext(StudyOptions options, Dataset train)
    : options_(std::move(options)), train_(std::move(train)) {
  const Shape& image = train_.image_shape;
  if (image.rank() != 3 || std::min(image[0], image[1]) < kTiny || train_.classes < 2) {
    throw ArgumentError(fmt::format(
        "study: expected images (height, width, channels) of {0} × {0} pixels or more in 2 classes or more, found "
        "examples of {1} in {2}",
        kTiny, image.to_string(), train_.classes));
  }
  if (options_.batch < 2 || options_.batch > train_.count()) {
    throw ArgumentError(fmt::format("batch: expected 2 to {} examples, found {}", train_.count(), options_.batch));
  }
}

std::string StudyContext::model_name() const {
  return fmt::format("mlp {}-{}-{}", train_.image_shape.size(), fmt::join(options_.hidden, "-"), train_.classes);
}

std::uint64_t StudyContext::seed(std::string_view purpose) const {
  return derive_seed(options_.seed, hash(purpose));
}

Index StudyContext::samples(Index full, Index least) const {
  return options_.quick ? std::max(least, full / 10) : full;
}

std::vector<Index> StudyContext::examples(Index count) const {
  return Batches(train_.count(), count, seed("examples")).indices(0);
}

const Subject& StudyContext::subject() {
  if (!subject_) subject_.emplace(perceptron(options_.hidden));
  return *subject_;
}

Subject StudyContext::perceptron(std::span<const Index> hidden) const {
  return {mlp(train_.image_shape.size(), hidden, train_.classes), train_, examples(options_.batch), seed("weights")};
}

Subject StudyContext::small() const {
  const Index hidden = 8;
  return perceptron({&hidden, 1});
}

Subject StudyContext::tiny() const {
  const Node x = Builder().input("image", train_.image_shape);
  const Node logits = linear(flatten(average_pool2d(x, train_.image_shape[0] / kTiny)), train_.classes);
  Model model{.program = Program(cross_entropy(logits, Builder(logits).indices("label", {}))),
              .logits = logits.number()};
  return {std::move(model), train_, examples(options_.batch), seed("weights")};
}

const Samples& StudyContext::pool() {
  if (pool_) return *pool_;
  const GradientView& gradient = subject().gradient();
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
  pool_ = draw_samples(subject(), *make_probe("gaussian", subject().layout(), seed("pool")), samples(count),
                       std::move(tracked), progress_);
  return *pool_;
}

}  // namespace slopewise
