#include "apps/bench/pytorch_kernels.hpp"

#include <strings.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "apps/bench/measure.hpp"
#include "apps/bench/product.hpp"
#include "apps/bench/pytorch.hpp"
#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

constexpr std::string_view kOpenBlas = "OpenBLAS ";
// Of about 20 ms for each core type.
constexpr Index kRounds = 12;

// OpenBLAS's core types with kernels for AVX2 or more that this processor can run. Slopewise itself needs AVX2; kernels
// without are slower.
std::vector<std::string> core_types() {
  std::vector<std::string> names = {"Haswell", "Zen"};
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    names.push_back("SkylakeX");
    if (__builtin_cpu_supports("avx512bf16")) names.insert(names.end(), {"Cooperlake", "SapphireRapids"});
  }
  return names;
}

struct Candidate {
  std::unique_ptr<PyTorch> pytorch;
  PyTorchKernels::Tried what;
};

// None where this OpenBLAS lacks the core type, in whose place it then takes another, or cannot run it here.
std::optional<Candidate> candidate(const std::string& python, int threads, const std::string& core_type) {
  try {
    auto pytorch = std::make_unique<PyTorch>(python, threads, core_type);
    const std::string kernels = pytorch->kernels();
    if (strcasecmp(kernels.c_str(), (std::string(kOpenBlas) + core_type).c_str()) != 0) return std::nullopt;
    pytorch->run(PyTorch::product(1), 1);
    return Candidate{std::move(pytorch), {.core_type = core_type, .kernels = kernels}};
  } catch (const Interrupted&) {
    throw;
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

std::vector<PyTorchKernels> fastest_kernels(const std::string& python, std::span<const Index> batches, int threads) {
  std::vector<Candidate> candidates;
  {
    auto pytorch = std::make_unique<PyTorch>(python, threads, "");
    const std::string kernels = pytorch->kernels();
    candidates.push_back({std::move(pytorch), {.kernels = kernels}});
  }
  const std::string own = candidates[0].what.kernels;
  if (own.starts_with(kOpenBlas)) {
    for (const std::string& core_type : core_types()) {
      if (strcasecmp(own.c_str() + kOpenBlas.size(), core_type.c_str()) == 0) continue;
      if (std::optional<Candidate> found = candidate(python, threads, core_type)) {
        candidates.push_back(std::move(*found));
      }
    }
  }

  std::vector<PyTorchKernels> result;
  for (const Index batch : batches) {
    std::vector<Visit> visits;
    for (const Candidate& each : candidates) {
      visits.push_back([&](Index count) { return each.pytorch->run(PyTorch::product(batch), count); });
    }
    const std::vector<Timing> timings =
        measure_in_turn(visits, {.least = kRounds, .most = kRounds}, [](double /*share*/) {});
    PyTorchKernels kernels{.batch = batch, .threads = threads};
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      kernels.tried.push_back(candidates[i].what);
      kernels.tried.back().rate = product_flops(batch) / timings[i].median;
    }
    const auto fastest = std::max_element(kernels.tried.begin(), kernels.tried.end(),
                                          [](const auto& a, const auto& b) { return a.rate < b.rate; });
    kernels.best = static_cast<std::size_t>(fastest - kernels.tried.begin());
    result.push_back(std::move(kernels));
  }
  return result;
}

}  // namespace slopewise
