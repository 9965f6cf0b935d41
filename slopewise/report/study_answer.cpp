#include "slopewise/report/study_answer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "slopewise/report/format.hpp"
#include "slopewise/report/results.hpp"

namespace slopewise {
namespace {

using Json = nlohmann::ordered_json;

const Json* find_measured(const Json& claims, std::string_view id) {
  for (const Json& claim : claims) {
    if (claim.at("id") == id && claim.at("measured").is_number()) return &claim;
  }
  return nullptr;
}

struct Span {
  double least = std::numeric_limits<double>::infinity(), most = -least;
  void add(double x) {
    least = std::min(least, x);
    most = std::max(most, x);
  }
  bool empty() const { return least > most; }
};

// The span of a column of one of a claim's series; empty where there is none.
Span span_of(const Json& claim, std::string_view series, std::string_view column) {
  Span span;
  for (const Json& each : claim.at("series")) {
    if (each.at("name") != series) continue;
    const Json& columns = each.at("columns");
    const auto found = std::find(columns.begin(), columns.end(), column);
    if (found == columns.end()) continue;
    for (const Json& row : each.at("rows")) span.add(number(row.at(found - columns.begin())));
  }
  return span;
}

std::string times(const Span& span) {
  return span.least == span.most ? fmt::format("{:.2g} times", span.least)
                                 : fmt::format("{:.2g} to {:.2g} times", span.least, span.most);
}

// "signal-to-noise ratio falls as n to the power −0.998, as the note says"
std::string noise(const Json& scaling) {
  return fmt::format("its signal-to-noise ratio goes as n to the power {}, {} the note says",
                     format_number(number(scaling.at("measured"))), scaling.at("verdict") == "holds" ? "as" : "not as");
}

// From the times of training, which the claim `crossover` compares with backprop's at the largest network.
std::string answer_of(const Json& crossover) {
  constexpr const char* kTimes = "time to half the initial loss";
  const Span plain = span_of(crossover, kTimes, "wall-time ratio"), n = span_of(crossover, kTimes, "n");
  const Span remedied = span_of(crossover, "with a learned prior", "wall-time ratio");
  if (plain.empty()) return "";
  const std::string verdict = text(crossover.at("verdict"));
  const std::string sizes = fmt::format("with {} to {} parameters", format_number(n.least), format_number(n.most));
  const std::string start = verdict == "undecided" ? "Undecided: " + sizes
                            : verdict != "holds"   ? "No: " + sizes
                            : plain.least > 1      ? "Yes, at every size tested: " + sizes
                                                   : "When the network is large: " + sizes;
  return fmt::format("{} it took {} as long as with backprop to come to half the initial loss{}.", start, times(plain),
                     remedied.empty() ? "" : fmt::format(", {} with a learned prior", times(remedied)));
}

}  // namespace

std::string study_answer(const Json& results) {
  const Json& claims = results.at("claims");
  if (const Json* crossover = find_measured(claims, "crossover")) {
    if (std::string answer = answer_of(*crossover); !answer.empty()) return answer;
  }
  const Json* scaling = find_measured(claims, "snr-scaling");
  return fmt::format("Undecided by this run, which did not compare times of training (the claim crossover){}.",
                     scaling ? ": " + noise(*scaling) : "");
}

std::string count_of_verdicts(const Json& claims) {
  const auto count = [&](std::string_view verdict) {
    return std::count_if(claims.begin(), claims.end(),
                         [&](const Json& claim) { return claim.at("verdict") == verdict; });
  };
  std::string sentence = fmt::format("{} of the {} claims measured hold", count("holds"), claims.size());
  if (count("differs") > 0) sentence += fmt::format(", {} under a condition", count("differs"));
  if (count("fails") > 0) sentence += fmt::format(", {} not at all", count("fails"));
  if (count("undecided") > 0) sentence += fmt::format(", {} undecided", count("undecided"));
  if (count("unmeasured") > 0) sentence += fmt::format(", {} could not be measured", count("unmeasured"));
  return sentence;
}

}  // namespace slopewise
