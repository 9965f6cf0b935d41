// Rosenbrock's function of 1000 variables: the value alone, and value and slope by Dual<double, 1>; with K = 8 the
// value and eight slopes. Built with -ffast-math and without.
#include <benchmark/benchmark.h>

#include <vector>

#include "slopewise/dual/dual.hpp"
#include "slopewise/dual/test_functions.hpp"

namespace slopewise {
namespace {

constexpr std::size_t kSize = 1000;

template <class S>
void evaluate(benchmark::State& state, std::vector<S> x) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(x.data());
    benchmark::ClobberMemory();
    benchmark::DoNotOptimize(Rosenbrock{}(std::span<const S>(x)));
  }
}

void value(benchmark::State& state) {
  evaluate(state, std::vector<double>(kSize, 0.7));
}
BENCHMARK(value);

template <int K>
void slopes(benchmark::State& state) {
  Dual<double, K> entry(0.7);
  for (int k = 0; k < K; ++k) entry.tangent[k] = 0.3 + k;
  evaluate(state, std::vector<Dual<double, K>>(kSize, entry));
}
BENCHMARK(slopes<1>);
BENCHMARK(slopes<8>);

}  // namespace
}  // namespace slopewise
