#include "apps/train/files.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <sstream>

#include "apps/arguments.hpp"
#include "apps/config.hpp"
#include "slopewise/base/atomic_file.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/input_file.hpp"
#include "slopewise/base/json_text.hpp"
#include "slopewise/base/memory.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/base/version.hpp"
#include "slopewise/report/format.hpp"
#include "slopewise/tensor/machine.hpp"

namespace slopewise {
namespace {

using Json = nlohmann::ordered_json;
using Path = std::filesystem::path;

}  // namespace

std::optional<std::int64_t> start_of_memory() {
  try {
    restart_peak();
    return resident_bytes();
  } catch (const FileError&) {
    return std::nullopt;  // a machine that does not say
  }
}

Json train_document(const TrainOptions& options, const Settings& settings, const Trainer& trainer,
                    const TrainOutcome& outcome, const Path& directory, std::optional<std::int64_t> base_bytes) {
  const auto optional = [](std::optional<double> value) { return value ? Json(*value) : Json(nullptr); };
  Json curve = Json::array();
  for (const CurvePoint& point : outcome.curve) curve.push_back(to_json(point));
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  const CurvePoint last =
      outcome.curve.empty() ? CurvePoint{.train_loss = kNone, .test = {kNone, kNone}} : outcome.curve.back();
  return {{"schema", "slopewise.train/1"},
          {"version", version()},
          {"name", std::filesystem::weakly_canonical(directory).filename().string()},
          {"preset", options.preset},
          {"method", options.method},
          {"command", command_line()},
          {"seed", options.run.seed},
          {"threads", thread_count()},
          {"machine", describe_machine()},
          {"config", config_object(settings)},
          {"parameters", trainer.parameters()},
          {"slopes", trainer.slopes()},
          {"status", outcome.status},
          {"message", outcome.message},
          {"epochs", static_cast<double>(trainer.step()) / static_cast<double>(trainer.steps_per_epoch())},
          {"steps", trainer.step()},
          {"seconds", outcome.seconds},
          {"train_loss", last.train_loss},
          {"test_loss", last.test.loss},
          {"test_error", last.test.error},
          {"seconds_to_97", optional(outcome.seconds_to(97))},
          {"seconds_to_98", optional(outcome.seconds_to(98))},
          {"peak_bytes", base_bytes ? Json(peak_bytes()) : Json(nullptr)},
          {"base_bytes", base_bytes ? Json(*base_bytes) : Json(nullptr)},
          {"run_bytes", base_bytes ? Json(peak_bytes() - *base_bytes) : Json(nullptr)},
          {"state_bytes", trainer.state_bytes()},
          {"step_bytes", trainer.step_bytes()},
          {"forwards_per_step", trainer.forwards()},
          {"reach", outcome.reach ? to_json(*outcome.reach) : Json(nullptr)},
          {"curve", std::move(curve)}};
}

std::string note_of(const TrainNews& news) {
  std::string note = fmt::format("loss {}", format_number(news.loss));
  if (news.error) note += fmt::format(", error {} %", format_number(100 * *news.error));
  if (!news.noise) return note;
  const auto number = [&](const char* name) { return format_number(news.noise->at(name).get<double>()); };
  if (news.noise->contains("snr")) note += fmt::format(", SNR {}", number("snr"));
  return note + fmt::format(", |gradient| {} to {}", number("gradient_norm_low"), number("gradient_norm_high"));
}

std::string warning_of(const TrainReach& reach, const Trainer& trainer) {
  constexpr double kLittle = 0.1;  // of the loss
  if (!(reach.decrease < kLittle * reach.loss)) return "";
  const TrainSettings& settings = trainer.settings();
  const bool estimated = settings.method.estimator != "exact";
  return fmt::format(
      "slopewise: step {}: by the slopes so far the {} steps left lower the loss of {} by {} at most; {}", reach.step,
      trainer.steps() - reach.step, format_number(reach.loss), format_number(std::max(0.0, reach.decrease)),
      estimated ? "more steps, more --tangents, fewer weights that --train, or exact gradients would lower it more"
                : "more steps or a higher --rate would lower it more");
}

MetricsFile::MetricsFile(const Path& path, Index step) : path_(path) {
  std::string kept;
  if (step > 0 && std::filesystem::exists(path)) {
    std::istringstream lines(read_text(path));
    for (std::string line; std::getline(lines, line);) {
      const Json parsed = parse_json(line, path.string());
      if (parsed.is_object() && parsed.contains("step") && parsed["step"].is_number_integer() &&
          parsed["step"].get<Index>() <= step)
        kept += line + "\n";
    }
  }
  write_text(path, kept);
  stream_.open(path, std::ios::app | std::ios::binary);
}

void MetricsFile::add(const Json& line) {
  stream_ << line.dump() << '\n' << std::flush;
  if (!stream_) throw FileError(fmt::format("{}: cannot be written: {}", path_.string(), std::strerror(errno)));
}

}  // namespace slopewise
