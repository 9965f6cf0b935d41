// Cost of random entries on one thread, written over and over into a first-level-cache buffer, for each instruction set
// this machine has: `items_per_second` counts entries.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#define HWY_DISABLE_PCLMUL_AES  // the targets of tensor/random.cpp
#include <hwy/highway.h>

#include "slopewise/tensor/random.hpp"

namespace slopewise {
namespace {

void use_targets(std::int64_t targets) {  // 0: all there are
  hwy::SetSupportedTargetsForTest(targets);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

template <class T, void (*fill)(const RandomKey&, std::int64_t, std::span<T>)>
void bench_fill(benchmark::State& state, std::int64_t target) {
  use_targets(target);
  const std::int64_t size = state.range(0);
  std::vector<T> out(static_cast<std::size_t>(size));
  std::int64_t first = 0;
  for (auto _ : state) {
    fill({.seed = 1, .step = 2, .stream = 3}, first, out);
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
    first += size;
  }
  state.SetItemsProcessed(state.iterations() * size);
  state.SetBytesProcessed(state.iterations() * size * static_cast<std::int64_t>(sizeof(T)));
  use_targets(0);
}

// What writing alone takes: a lower bound for every law.
void bench_constant(benchmark::State& state) {
  std::vector<float> out(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    std::fill(out.begin(), out.end(), 1.0f);
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(bench_constant)->Name("constant/float")->Arg(4096);

template <class T, void (*fill)(const RandomKey&, std::int64_t, std::span<T>)>
void add(const std::string& name) {
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    const std::string label = name + "/" + hwy::TargetName(target);
    benchmark::RegisterBenchmark(label.c_str(), bench_fill<T, fill>, target)->Arg(1)->Arg(1000)->Arg(4096);
  }
}

const bool added = [] {
  add<float, fill_gaussian>("gaussian/float");
  add<double, fill_gaussian>("gaussian/double");
  add<float, fill_uniform>("uniform/float");
  add<float, fill_rademacher>("rademacher/float");
  return true;
}();

}  // namespace
}  // namespace slopewise
