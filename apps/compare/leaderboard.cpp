#include "apps/compare/leaderboard.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>

#include "slopewise/base/atomic_file.hpp"
#include "slopewise/report/format.hpp"
#include "slopewise/report/json.hpp"
#include "slopewise/report/table.hpp"
#include "slopewise/report/text.hpp"
#include "slopewise/statistics/intervals.hpp"
#include "slopewise/statistics/moments.hpp"

namespace slopewise {
namespace {

using Json = nlohmann::ordered_json;

using Figure = std::function<Json(const Json& run)>;

Figure field(const char* name) {
  return [name](const Json& run) { return run.at(name); };
}

struct Summary {
  Json mean, spread;  // null where a run lacks the figure; a single run has no spread
};

Summary over(const std::vector<Json>& runs, const Figure& figure) {
  Moments moments;
  for (const Json& run : runs) {
    const Json value = figure(run);
    if (!value.is_number()) return {};
    moments.add(value.get<double>());
  }
  if (moments.count() == 0) return {};
  return {moments.mean(), moments.count() > 1 ? Json(moments.standard_deviation()) : Json()};
}

// The mean at each of the moments that a run was looked at.
Json each(const std::vector<Json>& runs, const char* name) {
  Json means = Json::array();
  if (runs.empty()) return means;
  for (std::size_t i = 0; i < runs[0].at(name).size(); ++i)
    means.push_back(over(runs, [&](const Json& run) { return run.at(name).at(i); }).mean);
  return means;
}

std::string number(const Json& value, const std::function<std::string(double)>& format = format_number) {
  return value.is_number() ? format(value.get<double>()) : "–";
}

std::string numbers(const Json& values, const std::function<std::string(double)>& format) {
  std::vector<std::string> words;
  for (const Json& value : values) words.push_back(number(value, format));
  return words.empty() ? "–" : fmt::format("{}", fmt::join(words, ", "));
}

std::string percent(const Json& row) {
  if (!row["test_error"].is_number()) return "–";
  const std::string mean = fmt::format("{:.2f}", 100 * row["test_error"].get<double>());
  if (!row["spread"].is_number()) return mean + " %";
  return fmt::format("{} ± {:.2f} %", mean, 100 * row["spread"].get<double>());
}

// A cell of a Markdown table is one line without bars.
std::string cell(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  std::string safe;
  for (const char c : text) safe += c == '|' ? std::string("\\|") : std::string(1, c);
  return safe;
}

std::string csv_value(const Json& value) {
  if (value.is_null()) return {};
  return csv_field(value.is_string() ? value.get<std::string>() : value.dump());
}

constexpr std::array kMoments{"start", "middle", "end"};

}  // namespace

Json summarize(const Entry& entry) {
  const RowSpec& spec = entry.row.spec();
  const std::vector<Json>& runs = entry.results;
  std::vector<Json> done;
  std::vector<std::string> notes;
  for (const Json& run : runs) {
    if (run.at("status") != "diverged") done.push_back(run);
  }
  if (done.size() < runs.size()) {
    const auto first = std::ranges::find(runs, "diverged", [](const Json& run) { return run.at("status"); });
    notes.push_back(fmt::format("diverged with {} of {} seeds, first at {}", runs.size() - done.size(), runs.size(),
                                first->at("message").get<std::string>()));
  }
  if (!entry.note.empty()) notes.push_back(entry.note);
  const std::optional<double> rate = entry.judged[0].rate;
  const Summary error = over(done, field("test_error"));
  const auto step_ms = [](const Json& run) {
    return Json(1e3 * run.at("seconds").get<double>() / run.at("steps").get<double>());
  };
  const auto work = [](const Json& run) {
    return Json(run.at("forwards_per_step").get<double>() * run.at("steps").get<double>());
  };
  return {{"name", spec.name},
          {"method", entry.row.options().method},
          {"preset", spec.preset},
          {"control", spec.control},
          {"test_error", error.mean},
          {"spread", error.spread},
          {"test_loss", over(done, field("test_loss")).mean},
          {"seconds", over(done, field("seconds")).mean},
          {"forwards", over(done, work).mean},
          {"seconds_to_97", over(done, field("seconds_to_97")).mean},
          {"seconds_to_98", over(done, field("seconds_to_98")).mean},
          {"seeds", runs.size()},
          {"diverged", runs.size() - done.size()},
          {"epochs", entry.epochs},
          {"step_ms", over(done, step_ms).mean},
          {"slopes", runs[0].at("slopes")},
          {"step_bytes", runs[0].at("step_bytes")},
          {"parameters", runs[0].at("parameters")},
          {"cosine", each(done, "cosine")},
          {"snr", each(done, "snr")},
          {"rate", rate ? Json(*rate) : Json("auto")},
          {"note", fmt::format("{}", fmt::join(notes, "; "))},
          {"command", runs[0].at("command")}};
}

void sort_rows(Json& rows) {
  const auto error = [](const Json& row) {
    return row["test_error"].is_number() ? row["test_error"].get<double>() : std::numeric_limits<double>::infinity();
  };
  std::ranges::stable_sort(rows.get_ref<Json::array_t&>(), {}, error);
}

namespace {

struct Leaderboard {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
};

// Without the columns that no row has anything in: times to an accuracy that is out of reach, notes where there is
// none.
Leaderboard leaderboard(const Json& document) {
  const std::vector<std::string> header{"row",      "test error", "test loss", "to 97 %", "to 98 %",          "time",
                                        "forwards", "epochs",     "a step",    "slopes",  "memory of a step", "cosine",
                                        "SNR",      "rate",       "note"};
  const auto bytes = [](double count) { return format_bytes(static_cast<std::int64_t>(count)); };
  const auto cosine = [](double value) { return fmt::format("{:.2g}", value); };
  const bool at_equal_work = document["budget_forwards"].is_number();  // the table is wide enough as it is
  std::vector<std::vector<std::string>> all;
  for (const Json& row : document["rows"]) {
    all.push_back({row["name"].get<std::string>() + (row["control"].get<bool>() ? " (control)" : ""), percent(row),
                   number(row["test_loss"]), number(row["seconds_to_97"], format_seconds),
                   number(row["seconds_to_98"], format_seconds), number(row["seconds"], format_seconds),
                   at_equal_work ? number(row["forwards"]) : "–", number(row["epochs"]),
                   number(row["step_ms"], [](double ms) { return format_seconds(ms / 1e3); }), number(row["slopes"]),
                   number(row["step_bytes"], bytes), numbers(row["cosine"], cosine), numbers(row["snr"], cosine),
                   row["rate"].is_string() ? "auto" : number(row["rate"]), row["note"].get<std::string>()});
  }
  Leaderboard board;
  board.rows.resize(all.size());
  for (std::size_t column = 0; column < header.size(); ++column) {
    const auto blank = [&](const auto& row) { return row[column].empty() || row[column] == "–"; };
    if (std::ranges::all_of(all, blank)) continue;
    board.header.push_back(header[column]);
    for (std::size_t i = 0; i < all.size(); ++i) board.rows[i].push_back(all[i][column]);
  }
  return board;
}

// Of two rows whether their mean errors differ by more than chance, by Welch's t at 95 %; unknown with a single run.
std::optional<bool> differ(const Json& a, const Json& b) {
  if (!a["spread"].is_number() || !b["spread"].is_number()) return {};
  const auto share = [](const Json& row) {
    const double runs = row["seeds"].get<double>() - row["diverged"].get<double>();
    return std::pair(std::pow(row["spread"].get<double>(), 2) / runs, runs - 1);
  };
  const auto [left, left_degrees] = share(a);
  const auto [right, right_degrees] = share(b);
  const double difference = a["test_error"].get<double>() - b["test_error"].get<double>();
  if (left + right == 0) return difference != 0;
  const double degrees = std::pow(left + right, 2) / (left * left / left_degrees + right * right / right_degrees);
  return !student_t_interval(difference, std::sqrt(left + right), degrees, 0.95).contains(0);
}

std::string budget_of(const Json& document) {
  std::string text = document["budget_forwards"].is_number()
                         ? fmt::format("{} forward passes on a batch", number(document["budget_forwards"]))
                     : document["budget_seconds"].is_number()
                         ? number(document["budget_seconds"], format_seconds) + " of training"
                         : "the epochs given";
  if (document["budget_bytes"].is_number())
    text += fmt::format(" and steps of {}",
                        format_bytes(static_cast<std::int64_t>(document["budget_bytes"].get<double>())));
  return text;
}

// Which row is best within the budget, what chance cannot tell from it, and where backprop stands.
std::string verdict(const Json& document) {
  const Json& rows = document["rows"];
  if (rows.empty() || !rows[0]["test_error"].is_number()) return "";
  std::vector<std::string> alike;
  bool known = true;
  for (std::size_t i = 1; i < rows.size() && rows[i]["test_error"].is_number(); ++i) {
    const std::optional<bool> apart = differ(rows[0], rows[i]);
    known = known && apart.has_value();
    if (apart == false) alike.push_back(rows[i]["name"]);
  }
  std::string text = fmt::format("\nLeast test error within {}: {}, {}.", budget_of(document),
                                 rows[0]["name"].get<std::string>(), percent(rows[0]));
  if (!alike.empty()) text += fmt::format(" Not told apart from it at 95 %: {}.", fmt::join(alike, ", "));
  if (!known && rows.size() > 1) text += " A single run of a row does not tell what is chance.";
  const auto exact = std::ranges::find(rows, "backprop", [](const Json& row) { return row["name"]; });
  if (exact != rows.begin() && exact != rows.end()) text += fmt::format(" backprop: {}.", percent(*exact));
  return text + "\n";
}

// What is said below the table.
std::string below(const Json& document) {
  std::string text = verdict(document);
  for (const Json& row : document["left_out"])
    text += fmt::format("\nLeft out: {}: {}\n", row["name"].get<std::string>(), row["why"].get<std::string>());
  return text;
}

}  // namespace

std::string markdown(const Json& document) {
  const Leaderboard board = leaderboard(document);
  std::string text = fmt::format("| {} |\n|", fmt::join(board.header, " | "));
  for (std::size_t i = 0; i < board.header.size(); ++i) text += "---|";
  text += "\n";
  for (std::vector<std::string> cells : board.rows) {
    std::ranges::transform(cells, cells.begin(), cell);
    text += fmt::format("| {} |\n", fmt::join(cells, " | "));
  }
  return text + below(document);
}

std::string leaderboard_text(const Json& document, int width, bool colour) {
  const Leaderboard board = leaderboard(document);
  Table table(board.header);
  for (const std::vector<std::string>& row : board.rows) table.add_row(row);
  return table.to_string(width, colour) + below(document);
}

std::string csv(const Json& rows) {
  std::string text;
  for (const Json& row : rows) {
    std::vector<std::string> names, values;
    for (const auto& [name, value] : row.items()) {
      if (name != "cosine" && name != "snr") {
        names.push_back(name);
        values.push_back(csv_value(value));
        continue;
      }
      for (std::size_t i = 0; i < kMoments.size(); ++i) {
        names.push_back(fmt::format("{}_{}", name, kMoments[i]));
        values.push_back(i < value.size() ? csv_value(value[i]) : "");
      }
    }
    if (text.empty()) text = fmt::format("{}\n", fmt::join(names, ","));
    text += fmt::format("{}\n", fmt::join(values, ","));
  }
  return text;
}

void write_leaderboard(const std::filesystem::path& directory, const Json& document) {
  write_json(directory / "compare.json", document);
  write_text(directory / "compare.csv", csv(document["rows"]));
  std::string commands;
  for (const Json& row : document["rows"]) commands += row["command"].get<std::string>() + "\n";
  write_text(directory / "compare.md",
             fmt::format("{}\nThe first run of each row again:\n\n```\n{}```\n", markdown(document), commands));
}

}  // namespace slopewise
