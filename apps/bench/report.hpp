// What was measured, as bench.json and as a table for people.
#pragma once

#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "apps/bench/measure.hpp"
#include "apps/bench/pytorch_kernels.hpp"
#include "apps/bench/steps.hpp"

namespace slopewise {

// What is not a number was not measured.
inline constexpr double kUnmeasured = std::numeric_limits<double>::quiet_NaN();

// The rate of one packed matrix product, (batch, 1024) by (1024, 1024), in floating-point operations a second.
struct ProductRate {
  double float32 = kUnmeasured;
  double bfloat16 = kUnmeasured;

  // Seconds that the operations of a step take at these rates: at the latter those whose factors are in bfloat16.
  double floor(const CostReport& cost, Precision precision) const;
};

struct BenchRow {
  StepKind kind;
  Timing timing;
  double floor = kUnmeasured;  // seconds
  std::optional<Index> peak_bytes;
  double slope_error = kUnmeasured;
};

// The steps of one model at one batch size and number of threads, measured in turn.
struct Comparison {
  std::string model;
  Index parameters = 0;
  Index batch = 0;
  int threads = 0;
  std::string pytorch, onnxruntime;  // their versions; empty where they were not compared with
  std::optional<PyTorchKernels> pytorch_kernels;
  ProductRate product;
  // Of plain products of the same shape, in floating-point operations a second.
  double plain_rate = kUnmeasured;
  double pytorch_rate = kUnmeasured;
  std::vector<BenchRow> rows;
  std::vector<std::string> cautions;  // what a reader must know before the figures
  std::vector<std::string> notes;     // what could not be measured, or not well, and why
};

// Schema slopewise.bench/1 (docs/bench.md); `machine` gains PyTorch's kernels and the product rates.
nlohmann::ordered_json bench_document(nlohmann::ordered_json machine, std::span<const Comparison> comparisons);

// A heading and a table; `width` and `colour` as in Table::to_string.
std::string comparison_text(const Comparison& comparison, int width = 0, bool colour = false);

}  // namespace slopewise
