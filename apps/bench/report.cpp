#include "apps/bench/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "slopewise/report/format.hpp"
#include "slopewise/report/table.hpp"

namespace slopewise {
namespace {

// The median of the step of that name, in seconds; NaN where it was not measured.
double median_of(const Comparison& comparison, std::string_view step) {
  for (const BenchRow& row : comparison.rows) {
    if (row.kind.name == step) return row.timing.median;
  }
  return kUnmeasured;
}

struct Ratios {
  double over_loss, over_backprop, over_floor, over_pytorch_sgd;
};

Ratios ratios(const Comparison& comparison, const BenchRow& row) {
  const double time = row.timing.median;
  return {.over_loss = time / median_of(comparison, "loss"),
          .over_backprop = time / median_of(comparison, "backprop"),
          .over_floor = time / row.floor,
          .over_pytorch_sgd = time / median_of(comparison, "pytorch-sgd")};
}

bool is_peer(std::string_view step) {
  return step.starts_with("pytorch") || step.starts_with("onnxruntime");
}

std::string precision(const StepKind& kind) {
  switch (kind.precision) {
    case Precision::kBfloat16Tangents:
      return "bf16-tangents";
    case Precision::kBfloat16:
      return "bf16";
    default:
      return "float32";
  }
}

std::string number(double x) {
  return std::isnan(x) ? std::string() : format_number(x);
}

nlohmann::ordered_json product_entry(const Comparison& comparison) {
  nlohmann::ordered_json entry = {{"model", comparison.model},
                                  {"batch", comparison.batch},
                                  {"threads", comparison.threads},
                                  {"float32_gflops", comparison.product.float32 / 1e9},
                                  {"bf16_gflops", comparison.product.bfloat16 / 1e9},
                                  {"plain_gflops", comparison.plain_rate / 1e9},
                                  {"pytorch_gflops", comparison.pytorch_rate / 1e9},
                                  {"pytorch_kernels", nullptr},
                                  {"pytorch_tried", nullptr}};
  if (comparison.pytorch_kernels) {
    entry["pytorch_kernels"] = comparison.pytorch_kernels->chosen().kernels;
    nlohmann::ordered_json tried;
    for (const PyTorchKernels::Tried& each : comparison.pytorch_kernels->tried) tried[each.kernels] = each.rate / 1e9;
    entry["pytorch_tried"] = tried;
  }
  return entry;
}

// What PyTorch multiplies with, and why.
std::string kernels_line(const Comparison& comparison) {
  const PyTorchKernels& kernels = *comparison.pytorch_kernels;
  std::string text =
      fmt::format("PyTorch's product {:.0f} GFLOP/s, by {}", comparison.pytorch_rate / 1e9, kernels.chosen().kernels);
  if (kernels.tried.size() == 1) return text;
  text += fmt::format(", the fastest of {}:", kernels.tried.size());
  for (const PyTorchKernels::Tried& each : kernels.tried) {
    const bool own = each.core_type.empty();
    text += fmt::format("{} {} {:.0f}{}", own ? "" : ",", each.kernels.substr(each.kernels.find(' ') + 1),
                        each.rate / 1e9, own ? " (its own choice)" : "");
  }
  return text;
}

// Drops the columns that hold nothing below their header, which is the first line.
void drop_empty_columns(std::vector<std::vector<std::string>>& lines) {
  for (std::size_t column = lines.front().size(); column-- > 0;) {
    const bool empty = std::all_of(lines.begin() + 1, lines.end(),
                                   [&](const std::vector<std::string>& line) { return line[column].empty(); });
    if (!empty) continue;
    for (std::vector<std::string>& line : lines) line.erase(line.begin() + static_cast<std::ptrdiff_t>(column));
  }
}

}  // namespace

double ProductRate::floor(const CostReport& cost, Precision precision) const {
  return cost.value_flops / (precision == Precision::kBfloat16 ? bfloat16 : float32) + cost.pullback_flops / float32 +
         cost.tangent_flops / (precision == Precision::kFloat32 ? float32 : bfloat16);
}

nlohmann::ordered_json bench_document(nlohmann::ordered_json machine, std::span<const Comparison> comparisons) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  nlohmann::ordered_json products = nlohmann::ordered_json::array();
  for (const Comparison& comparison : comparisons) {
    products.push_back(product_entry(comparison));
    for (const BenchRow& row : comparison.rows) {
      const Ratios over = ratios(comparison, row);
      nlohmann::ordered_json entry = {{"model", comparison.model},
                                      {"batch", comparison.batch},
                                      {"threads", comparison.threads},
                                      {"step", row.kind.name},
                                      {"tangents", row.kind.tangents},
                                      {"precision", precision(row.kind)},
                                      {"milliseconds", 1e3 * row.timing.median},
                                      {"low", 1e3 * row.timing.low},
                                      {"high", 1e3 * row.timing.high},
                                      {"over_loss", over.over_loss},
                                      {"over_backprop", over.over_backprop},
                                      {"over_floor", over.over_floor},
                                      {"over_pytorch_sgd", over.over_pytorch_sgd},
                                      {"peak_bytes", nullptr}};
      if (row.peak_bytes) entry["peak_bytes"] = *row.peak_bytes;
      if (!std::isnan(row.slope_error)) entry["slope_error"] = row.slope_error;
      rows.push_back(entry);
    }
  }
  const auto fastest =
      std::max_element(comparisons.begin(), comparisons.end(),
                       [](const Comparison& a, const Comparison& b) { return a.pytorch_rate < b.pytorch_rate; });
  if (fastest->pytorch_kernels) {
    machine["pytorch_kernels"] = fastest->pytorch_kernels->chosen().kernels;
    machine["pytorch_gflops"] = fastest->pytorch_rate / 1e9;
  }
  machine["products"] = products;
  return {{"schema", "slopewise.bench/2"}, {"machine", machine}, {"rows", rows}};
}

std::string comparison_text(const Comparison& comparison, int width, bool colour) {
  std::string text =
      fmt::format("{} ({} parameters), batch {}, {} thread{}; product {:.0f} GFLOP/s", comparison.model,
                  format_number(static_cast<double>(comparison.parameters)), comparison.batch, comparison.threads,
                  comparison.threads == 1 ? "" : "s", comparison.product.float32 / 1e9);
  if (!std::isnan(comparison.product.bfloat16)) {
    text += fmt::format(", in bf16 {:.0f}", comparison.product.bfloat16 / 1e9);
  }
  text += fmt::format(", plain {:.0f}\n", comparison.plain_rate / 1e9);
  if (comparison.pytorch_kernels) text += kernels_line(comparison) + "\n";
  for (const std::string& caution : comparison.cautions) text += caution + "\n";
  text += "\n";

  std::vector<std::vector<std::string>> lines = {{"step", "K", "precision", "ms", "95 % interval", "× loss",
                                                  "× backprop", "× floor", "× PyTorch SGD", "peak", "slope error"}};
  for (const BenchRow& row : comparison.rows) {
    const Ratios over = ratios(comparison, row);
    lines.push_back({row.kind.name, row.kind.tangents > 0 ? std::to_string(row.kind.tangents) : "", precision(row.kind),
                     number(1e3 * row.timing.median), format_interval(1e3 * row.timing.low, 1e3 * row.timing.high),
                     number(over.over_loss), number(over.over_backprop), number(over.over_floor),
                     number(over.over_pytorch_sgd), row.peak_bytes ? format_bytes(*row.peak_bytes) : "",
                     number(row.slope_error)});
  }
  drop_empty_columns(lines);
  Table table(lines.front());
  for (std::size_t i = 1; i < lines.size(); ++i) {
    table.add_row(lines[i], is_peer(lines[i].front()) ? Ink::kFaint : Ink::kPlain);
  }
  text += table.to_string(width, colour);
  for (const std::string& note : comparison.notes) text += note + "\n";
  return text;
}

}  // namespace slopewise
