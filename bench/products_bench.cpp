// Products and updates of a packed 1024 × 1024 matrix on one thread, beside plain products. Products
// report flops a second; updates report bytes of W read and written a second.
#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "slopewise/base/threads.hpp"
#include "slopewise/tensor/matmul.hpp"
#include "slopewise/tensor/products/weight_product.hpp"

namespace slopewise {
namespace {

constexpr Index kSize = 1024;

struct Case {
  ThreadScope one_thread{1};
  std::vector<float> weights = std::vector<float>(kSize * kSize, 0.01f);
  std::unique_ptr<WeightProduct> packed = WeightProduct::make(kSize, kSize);
  std::vector<float> x, y;

  explicit Case(Index count)
      : x(static_cast<std::size_t>(count * kSize), 0.5f), y(static_cast<std::size_t>(count * kSize)) {
    packed->pack(weights.data());
  }
};

void count_flops(benchmark::State& state, Index count) {
  state.counters["FLOP/s"] = benchmark::Counter(2.0 * kSize * kSize * static_cast<double>(count),
                                                benchmark::Counter::kIsIterationInvariantRate);
}
void count_bytes(benchmark::State& state) {
  state.SetBytesProcessed(state.iterations() * 2 * kSize * kSize * static_cast<Index>(sizeof(float)));
}

void multiply_plain(benchmark::State& state) {
  const Index count = state.range(0);
  Case on(count);
  for (auto _ : state) {
    matmul<float>(count, kSize, kSize, 1, {on.x.data(), kSize}, {on.weights.data(), kSize, true}, 0, on.y.data(),
                  kSize);
  }
  count_flops(state, count);
}
BENCHMARK(multiply_plain)->Arg(8)->Arg(64)->Arg(256);

// W += yᵀ x where W is not packed.
void multiply_plain_transposed(benchmark::State& state) {
  const Index count = state.range(0);
  Case on(count);
  for (auto _ : state) {
    matmul<float>(kSize, kSize, count, 1, {on.y.data(), kSize, true}, {on.x.data(), kSize}, 0, on.weights.data(),
                  kSize);
  }
  count_flops(state, count);
}
BENCHMARK(multiply_plain_transposed)->Arg(64)->Arg(256);

void multiply(benchmark::State& state) {
  const Index count = state.range(0);
  Case on(count);
  for (auto _ : state) on.packed->multiply(count, on.x.data(), on.y.data());
  count_flops(state, count);
}
BENCHMARK(multiply)->Arg(8)->Arg(64)->Arg(256);

void multiply_bfloat16(benchmark::State& state) {
  if (!has_bfloat16()) return state.SkipWithError("this processor does not multiply bfloat16");
  const Index count = state.range(0);
  Case on(count);
  on.packed->keep_bfloat16();
  std::vector<Bfloat16> x(on.x.size());
  for (auto _ : state) {
    to_bfloat16(on.x.data(), x.data(), static_cast<Index>(x.size()));
    on.packed->multiply_bfloat16(count, x.data(), on.y.data());
  }
  count_flops(state, count);
}
BENCHMARK(multiply_bfloat16)->Arg(8)->Arg(64)->Arg(256);

void round_to_bfloat16(benchmark::State& state) {
  const Index count = state.range(0);
  const Case on(count);
  std::vector<Bfloat16> x(on.x.size());
  for (auto _ : state) {
    to_bfloat16(on.x.data(), x.data(), static_cast<Index>(x.size()));
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * count * kSize);
}
BENCHMARK(round_to_bfloat16)->Arg(64);

void multiply_transposed(benchmark::State& state) {
  const Index count = state.range(0);
  Case on(count);
  for (auto _ : state) on.packed->multiply_transposed(count, on.y.data(), 0, on.x.data());
  count_flops(state, count);
}
BENCHMARK(multiply_transposed)->Arg(64)->Arg(256);

// A dense tangent's product, its rows packed on the way.
void multiply_rows_used_once(benchmark::State& state) {
  const Index count = state.range(0);
  Case on(count);
  std::vector<float> scratch(static_cast<std::size_t>(scratch_used_once(count, kSize)));
  for (auto _ : state) {
    for (Index at = 0; at < kSize; at += kRowsUsedOnce) {
      const auto rows = [&](Index, Index first, Index, float*) { return on.weights.data() + (at + first) * kSize; };
      multiply_used_once(count, kRowsUsedOnce, kSize, 1, on.x.data(), rows, on.y.data() + at, kSize, true,
                         scratch.data());
    }
  }
  count_flops(state, count);
}
BENCHMARK(multiply_rows_used_once)->Arg(64)->Arg(256);

void add_product(benchmark::State& state) {
  const Index count = state.range(0);
  Case on(count);
  for (auto _ : state) on.packed->add_product(count, on.y.data(), on.x.data());
  count_flops(state, count);
}
BENCHMARK(add_product)->Arg(64)->Arg(256);

void add_rank_one(benchmark::State& state) {
  const Index count = state.range(0);  // K
  Case on(count);
  if (state.range(1) != 0) on.packed->keep_bfloat16();
  for (auto _ : state) on.packed->add_rank_one(count, {.left = on.y.data(), .right = on.x.data()});
  count_bytes(state);
}
BENCHMARK(add_rank_one)->ArgNames({"K", "bfloat16"})->ArgsProduct({{1, 8}, {0, 1}});

void add_dense(benchmark::State& state) {
  Case on(1);
  const auto rows = [&](Index, Index first, Index, float*) { return on.weights.data() + first * kSize; };
  const float factor = 1e-9f;
  for (auto _ : state) on.packed->add({&factor, 1}, rows);
  count_bytes(state);
}
BENCHMARK(add_dense);

void pack(benchmark::State& state) {
  Case on(1);
  for (auto _ : state) on.packed->pack(on.weights.data());
  count_bytes(state);
}
BENCHMARK(pack);

void unpack(benchmark::State& state) {
  Case on(1);
  for (auto _ : state) on.packed->unpack(on.weights.data());
  count_bytes(state);
}
BENCHMARK(unpack);

}  // namespace
}  // namespace slopewise
