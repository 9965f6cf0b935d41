#include "apps/compare/leaderboard.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <functional>
#include <limits>

#include "slopewise/base/atomic_file.hpp"
#include "slopewise/report/format.hpp"
#include "slopewise/report/json.hpp"
#include "slopewise/report/table.hpp"
#include "slopewise/report/text.hpp"
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
  return {{"name", spec.name},
          {"method", entry.row.options().method},
          {"preset", spec.preset},
          {"control", spec.control},
          {"test_error", error.mean},
          {"spread", error.spread},
          {"test_loss", over(done, field("test_loss")).mean},
          {"seconds", over(done, field("seconds")).mean},
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
  const std::vector<std::string> header{"row",    "test error", "test loss", "to 97 %", "to 98 %",
                                        "time",   "epochs",     "a step",    "slopes",  "memory of a step",
                                        "cosine", "SNR",        "rate",      "note"};
  const auto bytes = [](double count) { return format_bytes(static_cast<std::int64_t>(count)); };
  const auto cosine = [](double value) { return fmt::format("{:.2g}", value); };
  std::vector<std::vector<std::string>> all;
  for (const Json& row : document["rows"]) {
    all.push_back({row["name"].get<std::string>() + (row["control"].get<bool>() ? " (control)" : ""), percent(row),
                   number(row["test_loss"]), number(row["seconds_to_97"], format_seconds),
                   number(row["seconds_to_98"], format_seconds), number(row["seconds"], format_seconds),
                   number(row["epochs"]), number(row["step_ms"], [](double ms) { return format_seconds(ms / 1e3); }),
                   number(row["slopes"]), number(row["step_bytes"], bytes), numbers(row["cosine"], cosine),
                   numbers(row["snr"], cosine), row["rate"].is_string() ? "auto" : number(row["rate"]),
                   row["note"].get<std::string>()});
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

std::string left_out(const Json& document) {
  std::string text;
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
  return text + left_out(document);
}

std::string leaderboard_text(const Json& document, int width, bool colour) {
  const Leaderboard board = leaderboard(document);
  Table table(board.header);
  for (const std::vector<std::string>& row : board.rows) table.add_row(row);
  return table.to_string(width, colour) + left_out(document);
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
