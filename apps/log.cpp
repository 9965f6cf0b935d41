// `slopewise log`: what a log of slopes holds.
#include <fmt/format.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/verb.hpp"
#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/json_text.hpp"
#include "slopewise/train/replay.hpp"

namespace slopewise {
namespace {

using Json = nlohmann::ordered_json;

struct LogOptions {
  std::string log;
  bool json = false;
};

// One line a step, in as many digits as tell a float32 from its neighbours.
void print_csv(SlopeLogReader& log) {
  std::string head = "step,loss,rate";
  for (Index i = 1; i <= log.numbers(); ++i) head += fmt::format(",number{}", i);
  std::cout << head << '\n';
  while (const std::optional<SlopeRecord> record = log.next()) {
    if (!std::cout) break;  // nobody reads on, or the disk is full
    check_interrupted("printing");
    std::string line = fmt::format("{},{:.9g},{:.9g}", log.steps(), record->answers.loss, record->rate);
    for (const float number : record->answers.numbers) line += fmt::format(",{:.9g}", number);
    std::cout << line << '\n';
  }
}

void print_json(SlopeLogReader& log) {
  Json steps = Json::array();
  while (const std::optional<SlopeRecord> record = log.next()) {
    check_interrupted("reading");
    steps.push_back({{"step", log.steps()},
                     {"loss", record->answers.loss},
                     {"rate", record->rate},
                     {"numbers", record->answers.numbers}});
  }
  const Json document{{"schema", "slopewise.log/1"},
                      {"file", log.path().string()},
                      {"header", parse_json(log.header(), log.path().string())},
                      {"damage", log.damage()},
                      {"steps", std::move(steps)}};
  std::cout << document.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
}

}  // namespace

Verb log_verb() {
  const auto options = std::make_shared<LogOptions>();
  Verb verb{.settings = Settings("log"), .summary = "Print a training run's log of slopes, as CSV or JSON"};
  verb.settings.add("run", options->log, text("RUN"), "Directory of a training run, or a log of slopes",
                    {.positional = true, .required = true});
  verb.settings.flag("json", options->json, "Print JSON, with what the steps are made of");
  verb.examples = {"slopewise log runs/train", "slopewise log runs/train --json"};
  verb.run = [options](Settings&) {
    SlopeLogReader log(slope_log_of(options->log));
    if (options->json) {
      print_json(log);
    } else {
      print_csv(log);
    }
    if (!log.damage().empty()) std::cerr << fmt::format("slopewise: {}\n", log.damage());
    return 0;
  };
  return verb;
}

}  // namespace slopewise
