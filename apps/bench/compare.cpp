#include "apps/bench/compare.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <memory>

#include "apps/bench/machine.hpp"
#include "apps/bench/memory.hpp"
#include "apps/bench/onnxruntime.hpp"
#include "apps/bench/product.hpp"
#include "apps/bench/pytorch.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/threads.hpp"

namespace slopewise {
namespace {

// What the timing takes of the work, roughly; slope errors and memory take the rest.
constexpr double kTimingShare = 0.6;
// The share of the time that threads may wait for a CPU before somebody is told.
constexpr double kMostWaiting = 0.02;

// The share of the packed product's rate below which a plain product's is told.
constexpr double kLeastPlainShare = 0.6;

// One way a peer can take one of the steps compared with.
struct PeerStep {
  StepKind kind;
  Visit visit;
  std::function<Index()> peak;  // of its memory, by a fresh process
};

const PyTorchKernels& kernels_for(const ComparisonOptions& options, Index batch, int threads) {
  return *std::find_if(
      options.pytorch_kernels.begin(), options.pytorch_kernels.end(),
      [&](const PyTorchKernels& kernels) { return kernels.batch == batch && kernels.threads == threads; });
}

// The ways this PyTorch has; `peak` measures the memory of one. Why one is left out becomes a note.
std::vector<PeerStep> pytorch_steps(PyTorch& pytorch, const std::function<Index(const std::string& request)>& peak,
                                    const std::string& model, std::vector<std::string>& notes) {
  std::vector<std::string> layouts = {""};
  if (model == "cnn") layouts.push_back(":channels_last");
  std::vector<PeerStep> steps;
  for (const StepKind& kind : {StepKind{.name = "pytorch-sgd"}, StepKind{.name = "pytorch-forward", .tangents = 1}}) {
    for (const std::string& layout : layouts) {
      const std::string request = kind.name.substr(kind.name.find('-') + 1) + layout;
      const std::string reason = pytorch.lacks(request);
      if (reason.empty()) {
        steps.push_back({.kind = kind,
                         .visit = [&pytorch, request](Index count) { return pytorch.run(request, count); },
                         .peak = [peak, request] { return peak(request); }});
      } else {
        notes.push_back(fmt::format("{}{} is left out: {}", kind.name, layout, reason));
      }
    }
  }
  return steps;
}

// The steps that the subject has. Why one is left out becomes a note. Throws ArgumentError where none is left.
std::vector<StepKind> kinds_of(const ComparisonOptions& options, const BenchSubject& subject,
                               std::vector<std::string>& notes) {
  std::vector<StepKind> kinds;
  std::string last;
  for (const StepKind& kind : options.kinds) {
    const std::string reason = lacks(subject, kind.name);
    if (reason.empty()) {
      kinds.push_back(kind);
    } else if (kind.name != last) {
      notes.push_back(fmt::format("{} is left out: {}", kind.name, reason));
      last = kind.name;
    }
  }
  if (kinds.empty()) throw ArgumentError(fmt::format("--steps: {}", fmt::join(notes, "; ")));
  return kinds;
}

// What to say above a table whose plain product is far from the packed one; empty for nothing.
std::string slow_product(std::string_view whose, double rate, double packed, std::string_view consequence) {
  if (!(rate < kLeastPlainShare * packed)) return "";
  return fmt::format("{} plain product runs at {:.0f} GFLOP/s, {:.0f} % of the packed product's {:.0f}: {}", whose,
                     rate / 1e9, 100 * rate / packed, packed / 1e9, consequence);
}

// What to say of a measurement during which other processes kept the CPUs from this one; empty for nothing.
std::string disturbance(const CpuTime& before, const CpuTime& after, int threads) {
  const double waited = after.waited - before.waited;
  const double share = waited / (waited + after.used - before.used);
  if (!(share > kMostWaiting)) return "";
  const cpu_set_t cpus = usable_cpus();
  return fmt::format("threads waited for a CPU {:.0f} % of the time: {}, times are too long", 100 * share,
                     threads > CPU_COUNT(&cpus) ? "there are more threads than CPUs" : "other processes are running");
}

}  // namespace

Comparison compare(const ComparisonOptions& options, const BenchModel& model, Index batch, int threads,
                   const std::function<void(double share)>& advance) {
  const ThreadScope scope(threads);
  const BenchSubject subject = BenchSubject::make(model, batch);
  Comparison result{.model = model.name, .parameters = subject.program().size(), .batch = batch, .threads = threads};
  const std::vector<StepKind> kinds = kinds_of(options, subject, result.notes);

  std::vector<Visit> visits;
  for (const StepKind& kind : kinds) visits.push_back(visit_of(make_step(kind, subject, subject.start())));
  std::unique_ptr<PyTorch> pytorch;
  std::vector<PeerStep> peers;
  if (!options.python.empty()) {
    result.pytorch_kernels = kernels_for(options, batch, threads);
    const std::string& core_type = result.pytorch_kernels->chosen().core_type;
    pytorch = std::make_unique<PyTorch>(options.python, threads, core_type, subject);
    result.pytorch = pytorch->version();
    const auto peak = [&](const std::string& request) {
      return PyTorch::peak(options.python, threads, core_type, subject, request);
    };
    peers = pytorch_steps(*pytorch, peak, model.name, result.notes);
  }
  std::unique_ptr<OnnxRuntime> onnxruntime;
  if (options.onnxruntime) {
    onnxruntime = std::make_unique<OnnxRuntime>(*options.onnxruntime, model, batch, threads);
    onnxruntime->require_equal_loss();
    result.onnxruntime = onnxruntime->version();
    peers.push_back({.kind = {.name = "onnxruntime-loss"},
                     .visit = [&](Index count) { return onnxruntime->run(count); },
                     .peak = [&] { return OnnxRuntime::peak(*options.onnxruntime, model, batch, threads); }});
  }
  for (const PeerStep& peer : peers) visits.push_back(peer.visit);

  // Products, each in a place of its own behind the steps.
  const auto add_product = [&](Visit visit) {
    visits.push_back(std::move(visit));
    return visits.size() - 1;
  };
  const std::size_t packed = add_product(visit_of(make_product(batch, ProductKind::kPacked)));
  const std::size_t plain = add_product(visit_of(make_product(batch, ProductKind::kPlain)));
  const bool bfloat16 = std::any_of(kinds.begin(), kinds.end(),
                                    [](const StepKind& kind) { return kind.precision != Precision::kFloat32; });
  const std::size_t half = bfloat16 ? add_product(visit_of(make_product(batch, ProductKind::kBfloat16))) : 0;
  const std::size_t of_pytorch =
      pytorch ? add_product([&](Index count) { return pytorch->run(PyTorch::product(batch), count); }) : 0;

  const CpuTime before = cpu_time();
  const std::vector<Timing> timings =
      measure_in_turn(visits, options.rounds, [&](double share) { advance(kTimingShare * share); });
  if (const std::string note = disturbance(before, cpu_time(), threads); !note.empty()) result.notes.push_back(note);
  const auto rate = [&](std::size_t product) { return product_flops(batch) / timings[product].median; };
  result.product.float32 = rate(packed);
  result.plain_rate = rate(plain);
  if (bfloat16) result.product.bfloat16 = rate(half);
  if (pytorch) result.pytorch_rate = rate(of_pytorch);
  for (const std::string& caution :
       {slow_product("Slopewise's", result.plain_rate, rate(packed),
                     "what is not multiplied by packed weights is slower than it could be"),
        slow_product("PyTorch's", result.pytorch_rate, rate(packed),
                     "its steps are slower than this processor allows, and ratios to them too low")}) {
    if (!caution.empty()) result.cautions.push_back(caution);
  }

  for (std::size_t i = 0; i < kinds.size(); ++i) result.rows.push_back({.kind = kinds[i], .timing = timings[i]});
  // Of several ways to take a step the fastest counts.
  std::vector<const PeerStep*> fastest;
  for (std::size_t i = 0; i < peers.size(); ++i) {
    const Timing& timing = timings[kinds.size() + i];
    if (i == 0 || peers[i].kind != peers[i - 1].kind) {
      result.rows.push_back({.kind = peers[i].kind, .timing = timing});
      fastest.push_back(&peers[i]);
    } else if (timing.median < result.rows.back().timing.median) {
      result.rows.back().timing = timing;
      fastest.back() = &peers[i];
    }
  }

  std::map<std::pair<std::string_view, Precision>, double> slope_errors;  // by law and precision
  for (std::size_t i = 0; i < result.rows.size(); ++i) {
    BenchRow& row = result.rows[i];
    // Of a dense law's tangents only part goes through bfloat16, and their cost does not say which.
    const std::string_view law = tangent_law(row.kind);
    const bool dense = law == "rademacher" || law == "gaussian";
    const bool low = row.kind.precision != Precision::kFloat32;
    if (!low || !dense) row.floor = result.product.floor(step_cost(row.kind, subject), row.kind.precision);
    if (low && !law.empty()) {
      const auto [error, fresh] = slope_errors.try_emplace({law, row.kind.precision});
      if (fresh) error->second = slope_error(error->first.first, row.kind.precision, subject);
      row.slope_error = error->second;
    }
    if (options.memory) {
      check_interrupted("measuring memory");
      row.peak_bytes =
          i < kinds.size() ? peak_of_fresh_process(model, batch, threads, row.kind) : fastest[i - kinds.size()]->peak();
    }
    advance((1 - kTimingShare) / static_cast<double>(result.rows.size()));
  }
  return result;
}

}  // namespace slopewise
