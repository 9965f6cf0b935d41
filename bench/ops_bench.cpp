// Ops on 64 examples on one thread: K = 0 the value alone, K = 1 and 8 with tangents of the input and rank-one tangents
// of the weights. Each op stands between a bias that gives its input tangents and a mean, whose time is counted with
// it: "nothing" is that time alone. `items_per_second` counts examples.
#include <benchmark/benchmark.h>

#include <functional>
#include <optional>
#include <vector>

#include "slopewise/base/threads.hpp"
#include "slopewise/model/initialize.hpp"
#include "slopewise/probe/probe.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/runner.hpp"

namespace slopewise {
namespace {

constexpr Index kRows = 64;
using MakeOp = std::function<Node(const Node&)>;

Program program_of(const Shape& shape, const MakeOp& op) {
  Builder build;
  const Node x = build.input("x", shape);
  return Program(mean(op(x + build.parameter("shift", shape, {}, shape.size()))));
}

void bench_op(benchmark::State& state, const Shape& shape, const MakeOp& op) {
  const ThreadScope one(1);
  const Program program = program_of(shape, op);
  const auto theta = initialize<float>(program.layout(), 1);
  const std::vector<float> x(static_cast<std::size_t>(kRows * shape.size()), 0.5f);
  const Batch<float> batch{.rows = kRows, .inputs = {std::span<const float>(x)}};
  const Index count = state.range(0);
  const auto probe = make_probe("rank-one", program.layout(), 1);
  std::optional<Tangents<float>> tangents;
  Workload workload{.batch = kRows, .tangents = count};
  if (count > 0) {
    workload.forms = probe->forms();
    tangents.emplace(program.layout(), count, probe->forms());
    probe->draw(0, count)->write(*tangents);
  }
  Runner<float> runner(program, workload);
  for (auto _ : state) benchmark::DoNotOptimize(runner.run(theta, batch, tangents ? &*tangents : nullptr).loss);
  state.SetItemsProcessed(state.iterations() * kRows);
}

const bool added = [] {
  const auto add = [](const char* name, Shape shape, MakeOp op) {
    benchmark::RegisterBenchmark(name, [=](benchmark::State& state) { bench_op(state, shape, op); })
        ->ArgName("K")
        ->Arg(0)
        ->Arg(1)
        ->Arg(8);
  };
  add("nothing/1024", {1024}, [](const Node& x) { return x; });
  add("linear/1024x1024", {1024}, [](const Node& x) { return linear(x, 1024); });
  add("linear_relu/1024x1024", {1024}, [](const Node& x) { return relu(linear(x, 1024)); });
  add("relu/1024", {1024}, [](const Node& x) { return relu(x); });
  add("gelu/1024", {1024}, [](const Node& x) { return gelu(x); });
  add("layer_norm/1024", {1024}, [](const Node& x) { return layer_norm(x); });
  add("softmax/1024", {1024}, [](const Node& x) { return softmax(x); });
  add("conv2d/26x26x32_to_64", {26, 26, 32}, [](const Node& x) { return conv2d(x, 64, 3); });
  add("max_pool/24x24x64", {24, 24, 64}, [](const Node& x) { return max_pool2d(x, 2); });
  return true;
}();

}  // namespace
}  // namespace slopewise
