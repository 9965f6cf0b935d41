// The page of audits: the answer, what it rests on, and how they compare.
#include <fmt/format.h>

#include <cmath>
#include <map>
#include <optional>

#include "slopewise/base/error.hpp"
#include "slopewise/report/audit_text.hpp"
#include "slopewise/report/charts.hpp"
#include "slopewise/report/format.hpp"
#include "slopewise/report/html.hpp"
#include "slopewise/report/page.hpp"
#include "slopewise/report/page_parts.hpp"
#include "slopewise/report/results.hpp"

namespace slopewise {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kMiB = 1024.0 * 1024.0;

// What an audit is called beside others.
std::vector<std::string> names(std::span<const AuditFiles> audits) {
  std::vector<std::string> found;
  for (const AuditFiles& audit : audits) {
    const std::string model = text(audit.document, "model");
    found.push_back(audits.size() == 1 ? model : fmt::format("{} ({})", model, audit.directory.string()));
  }
  return found;
}

// What a step of the audit's own batch takes; null where it is missing.
const Json* own_cost(const Json& document, const Json& method) {
  for (const Json& cost : method.at("costs")) {
    if (cost.at("batch") == document.at("batch")) return &cost;
  }
  return nullptr;
}

Json mebibytes(const Json& bytes) {
  return bytes.is_number() ? Json(bytes.get<double>() / kMiB) : Json();
}

ChartData methods_data(std::span<const AuditFiles> audits, const std::vector<std::string>& called) {
  ChartData data{.columns = {"run", "method", "memory", "fits", "seconds", "loss a second", "snr", "cosine"}};
  for (std::size_t a = 0; a < audits.size(); ++a) {
    for (const Json& method : audits[a].document.at("methods")) {
      const Json* const cost = own_cost(audits[a].document, method);
      if (!cost) continue;
      const Json predicted = method.at("predicted").is_object() ? method["predicted"] : Json::object();
      data.rows.push_back({called[a], method.at("name"), mebibytes(cost->at("bytes")),
                           cost->at("fits") == true ? "fits" : "does not fit", cost->at("seconds"), method.at("pace"),
                           predicted.value("snr", Json()), predicted.value("cosine", Json())});
    }
  }
  return data;
}

ChartData budgets_data(std::span<const AuditFiles> audits, const std::vector<std::string>& called) {
  ChartData data{.columns = {"run", "memory"}};
  for (std::size_t a = 0; a < audits.size(); ++a) {
    if (audits[a].document.at("memory").is_number())
      data.rows.push_back({called[a], mebibytes(audits[a].document["memory"])});
  }
  return data;
}

ChartData layers_data(std::span<const AuditFiles> audits, const std::vector<std::string>& called) {
  ChartData data{.columns = {"run", "depth", "layer", "weights", "batch_squared_norm", "squared_norm", "snr"}};
  for (std::size_t a = 0; a < audits.size(); ++a) {
    int depth = 0;
    for (const Json& block : audits[a].document.at("noise").at("blocks")) {
      data.rows.push_back({called[a], ++depth, block.at("name"), block.at("parameters"), block.at("batch_squared_norm"),
                           block.at("squared_norm"), block.at("snr")});
    }
  }
  return data;
}

// Of the methods that were tried beside backprop.
ChartData slowdowns_data(std::span<const AuditFiles> audits, const std::vector<std::string>& called) {
  ChartData data{.columns = {"run", "method", "predicted", "low", "high", "measured"}};
  for (std::size_t a = 0; a < audits.size(); ++a) {
    for (const Json& method : audits[a].document.at("methods")) {
      if (!method.at("tried").is_object() || !method.at("predicted").is_object()) continue;
      const Json& slowdown = method["predicted"].at("slowdown");
      if (!method["tried"].at("slowdown").is_number() || !slowdown.at("value").is_number()) continue;
      data.rows.push_back({called[a], method.at("name"), slowdown["value"], slowdown.at("low"), slowdown.at("high"),
                           method["tried"]["slowdown"]});
    }
  }
  return data;
}

Figures audit_figures(std::span<const AuditFiles> audits) {
  const std::vector<std::string> called = names(audits);
  const std::map<std::string, ChartData> data = {{"audit/methods", methods_data(audits, called)},
                                                 {"audit/budgets", budgets_data(audits, called)},
                                                 {"audit/layers", layers_data(audits, called)},
                                                 {"audit/slowdowns", slowdowns_data(audits, called)}};
  return Figures(
      [data](const std::string& name) -> std::optional<ChartData> {
        const auto found = data.find(name);
        return found == data.end() ? std::nullopt : std::optional(found->second);
      },
      called);
}

std::string or_dash(double value, std::string (*format)(double) = format_number) {
  return std::isnan(value) ? "–" : format(value);
}

std::string audited_methods(const Json& document) {
  std::vector<std::vector<std::string>> rows;
  for (const Json& method : document.at("methods")) {
    const Json* const cost = own_cost(document, method);
    if (!cost) continue;
    const Json predicted = method.at("predicted").is_object() ? method["predicted"] : Json::object();
    const Json tried = method.at("tried").is_object() ? method["tried"] : Json::object();
    const Json slowdown = predicted.value("slowdown", Json::object());
    rows.push_back({escape_html(text(method.at("name"))), format_bytes(cost->at("bytes").get<std::int64_t>()),
                    cost->at("fits") == true ? "yes" : "no", or_dash(number(*cost, "seconds"), format_seconds),
                    or_dash(number(predicted, "snr")), or_dash(number(slowdown, "value")),
                    text(tried, "status") == "diverged" ? "diverged" : or_dash(number(tried, "slowdown")),
                    or_dash(number(predicted, "rate")), or_dash(number(method, "pace"))});
  }
  return html_table("What each method takes and does", "cards runs",
                    {"method", "memory", "fits", "a step", "SNR", "steps over backprop’s, predicted", "tried", "rate",
                     "loss a second"},
                    rows);
}

std::string audited_ranks(const Json& document) {
  std::vector<std::vector<std::string>> rows = audit_ranks(document);
  if (rows.empty()) return {};
  const std::vector<std::string> header = std::move(rows.front());
  rows.erase(rows.begin());
  return html_table("What a step takes by many ranks", "cards runs", header, rows);
}

std::string answer_section(const Json& document) {
  const Json& recommendation = document.at("recommendation");
  std::string html;
  for (const auto& [which, words] : {std::pair{"best", "Train by it with"}, {"second", "The runner-up"}}) {
    const Json& choice = recommendation.at(which);
    if (!choice.is_object()) continue;
    html += fmt::format("<p>{}{}:</p>\n<pre>{}</pre>\n", words,
                        std::string(which) == "second" ? ", " + escape_html(text(choice.at("method"))) : "",
                        escape_html(text(choice, "command")));
  }
  if (!recommendation.at("changes").empty()) html += "<p>What would change the answer:</p>\n<ul>\n";
  for (const Json& change : recommendation["changes"]) html += fmt::format("<li>{}</li>\n", escape_html(text(change)));
  return html + (recommendation["changes"].empty() ? "" : "</ul>\n");
}

std::vector<std::pair<std::string, Facts>> facts_of(std::span<const AuditFiles> audits,
                                                    const std::vector<std::string>& called) {
  std::vector<std::pair<std::string, Facts>> lists;
  for (std::size_t a = 0; a < audits.size(); ++a) {
    const Json& document = audits[a].document;
    Facts facts = {{"command", text(document, "command")},
                   {"slopewise", text(document, "version")},
                   {"seed", text(document, "seed")},
                   {"data", text(document, "data")},
                   {"threads", text(document, "threads")}};
    add_machine(facts, document);
    facts.emplace_back("schema", text(document, "schema"));
    lists.emplace_back(called[a], std::move(facts));
  }
  return lists;
}

// Calls make; a document that lacks what its schema promises becomes a FileError.
template <class Make>
auto checked(std::span<const AuditFiles> audits, Make make) {
  if (audits.empty()) throw ArgumentError("report: expected at least one audit, found none");
  try {
    return make();
  } catch (const nlohmann::json::exception& error) {
    throw FileError(fmt::format("{}: expected an audit as documented, found something else: {}",
                                audits.front().directory.string(), error.what()));
  }
}

std::string page(std::span<const AuditFiles> audits) {
  const std::vector<std::string> called = names(audits);
  Figures figures = audit_figures(audits);
  std::vector<Figures::Figure> charts = figures.find("audit");
  std::vector<Figures::Figure> first;
  if (!charts.empty()) {
    first.push_back(std::move(charts.front()));
    charts.erase(charts.begin());
  }
  std::string answers;
  for (std::size_t a = 0; a < audits.size(); ++a) {
    answers += fmt::format("<p class=\"answer\">{}{}</p>\n", audits.size() > 1 ? escape_html(called[a]) + ": " : "",
                           escape_html(text(audits[a].document.at("recommendation").at("sentence"))));
  }
  const Json& only = audits.front().document;
  std::string body = fmt::format(
      "<header id=\"answer\">\n<p class=\"run\">{}</p>\n<h1>How should this model be trained in this memory?</h1>\n"
      "{}{}{}</header>\n<main>\n",
      audits.size() == 1 ? fmt::format("{}, {}, batch {}", escape_html(called.front()), escape_html(text(only, "data")),
                                       text(only, "batch"))
                         : fmt::format("{} audits", audits.size()),
      answers, definition_html(), figures.html(first));
  for (std::size_t a = 0; a < audits.size(); ++a) {
    const Json& document = audits[a].document;
    body +=
        fmt::format("<section>\n<h2>{}</h2>\n{}{}{}{}</section>\n", escape_html(called[a]), answer_section(document),
                    audited_methods(document), audited_ranks(document), html_facts(audit_facts(document)));
  }
  body += chart_notes_html();
  const std::string drawn = figures.html(charts);
  body += fmt::format("<section id=\"figures\">\n<h2>What it rests on</h2>\n{}{}{}</section>\n", drawn,
                      data_table_html("layers", layers_data(audits, called), figures.empty()),
                      data_table_html("methods", methods_data(audits, called), figures.empty()));
  body += glossary_html() + reproduction_html(facts_of(audits, called)) + "</main>\n" + figures.data_html();
  return html_page("Slopewise audit", body, !figures.empty());
}

}  // namespace

std::string audit_page(std::span<const AuditFiles> audits) {
  return checked(audits, [&] { return page(audits); });
}

std::string picture_of_chart(std::span<const AuditFiles> audits, const std::string& chart) {
  return checked(audits, [&] { return picture_among(audit_figures(audits).find("audit"), chart); });
}

}  // namespace slopewise
