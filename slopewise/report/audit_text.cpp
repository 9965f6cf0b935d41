#include "slopewise/report/audit_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "slopewise/report/format.hpp"
#include "slopewise/report/results.hpp"
#include "slopewise/report/table.hpp"
#include "slopewise/report/terminal.hpp"

namespace slopewise {
namespace {

using Json = nlohmann::ordered_json;

// Layers shown: those of the best ratios.
constexpr std::size_t kBlocksShown = 8;

std::string cell(double value, std::string (*format)(double) = format_number) {
  return std::isnan(value) ? "" : format(value);
}

std::string with_interval(const Json& figure) {
  const double value = number(figure, "value"), low = number(figure, "low"), high = number(figure, "high");
  if (std::isnan(value)) return "unknown";
  return std::isnan(low) || low == high ? format_number(value)
                                        : fmt::format("{} {}", format_number(value), format_interval(low, high));
}

std::string table_text(const Table& table) {
  return table.to_string(is_terminal(1) ? terminal_width(1) : 0, wants_colour(1));
}

std::string answer_text(const Json& recommendation) {
  std::string words = recommendation.at("sentence").get<std::string>() + "\n";
  if (recommendation.at("best").is_object()) words += fmt::format("\n  {}\n", text(recommendation["best"], "command"));
  if (recommendation.at("second").is_object()) {
    words += fmt::format("\nThe runner-up is {}:\n\n  {}\n", text(recommendation["second"], "method"),
                         text(recommendation["second"], "command"));
  }
  if (!recommendation.at("changes").empty()) words += "\nWhat would change the answer:\n";
  for (const Json& change : recommendation["changes"]) words += fmt::format("  {}\n", text(change));
  return words;
}

std::string model_text(const Json& document) {
  Table table({"at these weights", ""});
  for (const auto& [name, figure] : audit_facts(document)) table.add_row({name, figure});
  return table_text(table);
}

std::string methods_text(const Json& document) {
  Table table({"method", "memory", "fits", "a step", "SNR", "cosine", "steps over backprop’s", "rate", "loss a second",
               "tried: steps over backprop’s", "fell by", "predicted"});
  const std::string best = document["recommendation"]["best"].is_object()
                               ? text(document["recommendation"]["best"], "method")
                               : std::string();
  for (const Json& method : document.at("methods")) {
    for (const Json& cost : method.at("costs")) {
      if (cost.at("batch") != document.at("batch")) continue;
      const Json predicted = method.at("predicted").is_object() ? method["predicted"] : Json::object();
      const Json tried = method.at("tried").is_object() ? method["tried"] : Json::object();
      const double slowdown = predicted.contains("slowdown") ? number(predicted["slowdown"], "value") : std::nan("");
      table.add_row({text(method, "name"), format_bytes(cost.at("bytes").get<std::int64_t>()),
                     cost.at("fits") == true ? "yes" : "no", cell(number(cost, "seconds"), format_seconds),
                     cell(number(predicted, "snr")), cell(number(predicted, "cosine")), cell(slowdown),
                     cell(number(predicted, "rate")), cell(number(method, "pace")),
                     text(tried, "status") == "diverged" ? "diverged" : cell(number(tried, "slowdown")),
                     cell(number(tried, "decrease")), cell(number(tried, "predicted_decrease"))},
                    text(method, "name") == best ? Ink::kGood
                    : cost.at("fits") == true    ? Ink::kPlain
                                                 : Ink::kFaint);
    }
  }
  return table_text(table);
}

std::string blocks_text(const Json& document) {
  std::vector<Json> blocks(document["noise"].at("blocks").begin(), document["noise"].at("blocks").end());
  double total = 0;
  for (const Json& block : blocks) total += number(block, "batch_squared_norm");
  std::ranges::stable_sort(blocks, [](const Json& a, const Json& b) {
    return number(a, "batch_squared_norm") > number(b, "batch_squared_norm");
  });
  Table table({"layer", "weights", "share of ‖∇ₘ‖²", "share of the noise", "SNR, K = 1"});
  const double n = number(document, "parameters");
  for (std::size_t b = 0; b < std::min(blocks.size(), kBlocksShown); ++b) {
    table.add_row({text(blocks[b], "name"), format_number(number(blocks[b], "parameters")),
                   fmt::format("{:.1f} %", 100 * number(blocks[b], "batch_squared_norm") / total),
                   fmt::format("{:.1f} %", 100 * number(blocks[b], "parameters") / n), cell(number(blocks[b], "snr"))});
  }
  return table_text(table) + (blocks.size() > kBlocksShown
                                  ? fmt::format("and {} more layers\n", blocks.size() - kBlocksShown)
                                  : std::string());
}

// Memory of every method by batch, where other batches were asked for.
std::string batches_text(const Json& document) {
  std::vector<std::string> header{"memory, by batch"};
  const Json& first = document.at("methods").front().at("costs");
  if (first.size() < 2) return {};
  for (const Json& cost : first) header.push_back(text(cost, "batch"));
  Table table(header);
  for (const Json& method : document["methods"]) {
    std::vector<std::string> cells{text(method, "name")};
    for (const Json& cost : method.at("costs")) cells.push_back(format_bytes(cost.at("bytes").get<std::int64_t>()));
    table.add_row(cells);
  }
  return "\n" + table_text(table);
}

// A step along tangents of weights by many ranks, where that was asked.
std::string ranks_text(const Json& document) {
  const std::vector<std::vector<std::string>> rows = audit_ranks(document);
  if (rows.empty()) return {};
  Table table(rows.front());
  for (std::size_t i = 1; i < rows.size(); ++i) table.add_row(rows[i]);
  return "\n" + table_text(table);
}

}  // namespace

std::vector<std::vector<std::string>> audit_ranks(const Json& document) {
  const Json& ranks = document.value("ranks", Json(nullptr));
  if (ranks.is_null()) return {};
  const std::string tangents = text(ranks, "tangents");
  std::vector<std::vector<std::string>> rows{{"ranks", "a step of weights", "divided", "bytes of all", "memory of each",
                                              "SNR, K = " + tangents, "with K each", "a step of backprop",
                                              "bytes of all", "memory of each"}};
  const auto bytes = [](const Json& step, const char* name) {
    return format_bytes(static_cast<std::int64_t>(number(step, name)));
  };
  for (const Json& one : ranks.at("steps")) {
    std::string way = "examples";
    for (const char* other : {"tangents", "both"}) {
      if (number(one.at(other), "seconds") < number(one.at(way), "seconds")) way = other;
    }
    const Json &step = one.at(way), &backprop = one.at("backprop");
    const bool exact = backprop.is_object();
    rows.push_back({text(one, "ranks"), format_seconds(number(step, "seconds")), text(one, "ranks") == "1" ? "" : way,
                    bytes(step, "bytes"), bytes(step, "memory"), cell(number(one, "snr")),
                    cell(number(one, "snr_each")), exact ? format_seconds(number(backprop, "seconds")) : "",
                    exact ? bytes(backprop, "bytes") : "", exact ? bytes(backprop, "memory") : ""});
  }
  return rows;
}

std::vector<std::pair<std::string, std::string>> audit_facts(const Json& document) {
  const Json &noise = document.at("noise"), &curvature = document.at("curvature");
  return {{"weights that train", cell(number(document, "parameters"))},
          {"loss", cell(number(document, "loss"))},
          {"‖∇‖²", with_interval(noise.at("squared_norm"))},
          {"E‖∇ₘ‖²/‖∇‖² of mini-batches", with_interval(noise.at("batch_factor"))},
          {"tr H", with_interval(curvature.at("trace"))},
          {"curvature along ∇ₘ", with_interval(curvature.at("along_gradient"))},
          {"largest curvature", cell(number(curvature, "largest"))},
          {"tr H/largest", cell(number(curvature, "effective_dimension"))},
          {"kurtosis of slopes", cell(number(noise, "kurtosis"))},
          {"measured by", text(noise, "reference")}};
}

std::string audit_text(const Json& document) {
  return fmt::format("{}, {}, batch {}\n\n{}\n{}\n{}\n{}{}{}", text(document, "model"), text(document, "data"),
                     text(document, "batch"), answer_text(document.at("recommendation")), model_text(document),
                     blocks_text(document), methods_text(document), batches_text(document), ranks_text(document));
}

}  // namespace slopewise
