#include "apps/bench/compare.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

#include "apps/bench/machine.hpp"
#include "apps/bench/memory.hpp"
#include "apps/bench/product.hpp"
#include "apps/bench/pytorch.hpp"
#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/threads.hpp"

namespace slopewise {
namespace {

// What the timing takes of the work, roughly; slope errors and memory take the rest.
constexpr double kTimingShare = 0.6;
// The share of the time that threads may wait for a CPU before somebody is told.
constexpr double kMostWaiting = 0.02;

// One way PyTorch can take one of the steps compared with.
struct PeerStep {
  StepKind kind;
  std::string request;  // in PyTorch's own words (pytorch.py)
};

// The ways this PyTorch has; why one is left out becomes a note.
std::vector<PeerStep> peer_steps(PyTorch& pytorch, const std::string& model, std::vector<std::string>& notes) {
  std::vector<std::string> layouts = {""};
  if (model == "cnn") layouts.push_back(":channels_last");
  std::vector<PeerStep> steps;
  for (const StepKind& kind : {StepKind{.name = "pytorch-sgd"}, StepKind{.name = "pytorch-forward", .tangents = 1}}) {
    for (const std::string& layout : layouts) {
      const std::string request = kind.name.substr(kind.name.find('-') + 1) + layout;
      const std::string reason = pytorch.lacks(request);
      if (reason.empty()) {
        steps.push_back({kind, request});
      } else {
        notes.push_back(fmt::format("{}{} is left out: {}", kind.name, layout, reason));
      }
    }
  }
  return steps;
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

Comparison compare(const CompareOptions& options, const std::string& model, Index batch, int threads,
                   const std::function<void(double share)>& advance) {
  const ThreadScope scope(threads);
  const BenchSubject subject(model, batch);
  const std::vector<StepKind>& kinds = options.kinds;
  Comparison result{.model = model, .parameters = subject.program().size(), .batch = batch, .threads = threads};

  std::vector<Visit> visits;
  for (const StepKind& kind : kinds) visits.push_back(visit_of(make_step(kind, subject, start_parameters(subject))));
  std::unique_ptr<PyTorch> pytorch;
  std::vector<PeerStep> peers;
  if (!options.python.empty()) {
    pytorch = std::make_unique<PyTorch>(options.python, subject, threads);
    result.pytorch = pytorch->version();
    peers = peer_steps(*pytorch, model, result.notes);
  }
  for (const PeerStep& peer : peers) {
    visits.push_back([&pytorch, &peer](Index count) { return pytorch->run(peer.request, count); });
  }
  const bool bfloat16 = std::any_of(kinds.begin(), kinds.end(), [](const StepKind& kind) { return kind.bfloat16; });
  visits.push_back(visit_of(make_product(batch, false)));
  if (bfloat16) visits.push_back(visit_of(make_product(batch, true)));

  const CpuTime before = cpu_time();
  const std::vector<Timing> timings =
      measure_in_turn(visits, options.rounds, [&](double share) { advance(kTimingShare * share); });
  if (const std::string note = disturbance(before, cpu_time(), threads); !note.empty()) result.notes.push_back(note);
  const auto product = timings.begin() + static_cast<std::ptrdiff_t>(kinds.size() + peers.size());
  result.product.float32 = product_flops(batch) / product[0].median;
  if (bfloat16) result.product.bfloat16 = product_flops(batch) / product[1].median;

  for (std::size_t i = 0; i < kinds.size(); ++i) result.rows.push_back({.kind = kinds[i], .timing = timings[i]});
  // Of several ways to take a step the fastest counts.
  std::vector<std::string> requests;
  for (std::size_t i = 0; i < peers.size(); ++i) {
    const Timing& timing = timings[kinds.size() + i];
    if (i == 0 || peers[i].kind != peers[i - 1].kind) {
      result.rows.push_back({.kind = peers[i].kind, .timing = timing});
      requests.push_back(peers[i].request);
    } else if (timing.median < result.rows.back().timing.median) {
      result.rows.back().timing = timing;
      requests.back() = peers[i].request;
    }
  }

  std::map<std::string_view, double> slope_errors;  // by law
  for (std::size_t i = 0; i < result.rows.size(); ++i) {
    BenchRow& row = result.rows[i];
    // Of a dense law's tangents only part goes through bfloat16, and their cost does not say which.
    const bool dense = row.kind.name == "rademacher" || row.kind.name == "gaussian";
    if (!row.kind.bfloat16 || !dense) row.floor = result.product.floor(step_cost(row.kind, subject), row.kind.bfloat16);
    if (row.kind.bfloat16) {
      const auto [error, fresh] = slope_errors.try_emplace(tangent_law(row.kind));
      if (fresh) error->second = slope_error(error->first, subject);
      row.slope_error = error->second;
    }
    if (options.memory) {
      check_interrupted("measuring memory");
      row.peak_bytes = i < kinds.size() ? peak_of_fresh_process(model, batch, threads, row.kind)
                                        : PyTorch(options.python, subject, threads).peak(requests[i - kinds.size()]);
    }
    advance((1 - kTimingShare) / static_cast<double>(result.rows.size()));
  }
  return result;
}

}  // namespace slopewise
