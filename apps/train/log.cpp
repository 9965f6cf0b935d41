#include "apps/train/log.hpp"

#include <fmt/format.h>

#include <iostream>

#include "slopewise/base/error.hpp"

namespace slopewise {

using Path = std::filesystem::path;

bool logs_slopes(const TrainOptions& options, const Trainer& trainer) {
  return options.log_slopes != "off" && trainer.not_logged().empty();
}

std::unique_ptr<SlopeLog> begin_log(const Path& path, const Trainer& trainer) {
  return std::make_unique<SlopeLog>(path, to_text(trainer.recipe()), trainer.logged_numbers());
}

std::unique_ptr<SlopeLog> resume_log(const Path& path, Trainer& trainer, bool quiet) {
  const auto say = [&](const std::string& what) {
    if (!quiet) std::cerr << "slopewise: " << what << '\n';
  };
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    if (trainer.step() == 0) return begin_log(path, trainer);
    say(fmt::format("{}: missing; the run goes on without it", path.string()));
    return nullptr;
  }
  try {
    SlopeLogReader read(path);
    Recipe own = trainer.recipe();
    own.initial_checksum = recipe_from(read.header(), path.string()).initial_checksum;
    if (to_text(own) != read.header())
      throw FileError(fmt::format("{}: expected the log of this run, found another's", path.string()));
    std::vector<SlopeRecord> tail;
    while (std::optional<SlopeRecord> record = read.next()) {
      if (read.steps() > trainer.steps())
        throw FileError(fmt::format("{}: more than {} steps", path.string(), trainer.steps()));
      if (read.steps() > trainer.step()) tail.push_back(std::move(*record));
    }
    if (!read.damage().empty()) say(read.damage());
    if (read.steps() < trainer.step()) {
      say(fmt::format("{}: its {} steps end before the checkpoint's {}; the run goes on without it", path.string(),
                      read.steps(), trainer.step()));
      return nullptr;
    }
    auto log = std::make_unique<SlopeLog>(read);
    trainer.replay(std::move(tail), path.string());
    return log;
  } catch (const FileError& error) {
    say(fmt::format("{}; the run goes on without it", error.what()));
    return nullptr;
  }
}

}  // namespace slopewise
