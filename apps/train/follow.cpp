#include "apps/train/follow.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <iostream>
#include <set>

#include "apps/arguments.hpp"
#include "apps/config.hpp"
#include "apps/train/task.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/version.hpp"
#include "slopewise/tensor/instruction_set.hpp"
#include "slopewise/tensor/products/backend.hpp"
#include "slopewise/train/replay.hpp"

namespace slopewise {
namespace {

void require_same(Team& team, const std::string& own, const char* what) {
  const std::vector<std::string> all = team.gather(own);
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    if (all[rank] != all[0])
      throw TeamError(
          fmt::format("ranks 0 and {}: expected the same {}, found {} and {}", rank, what, all[0], all[rank]));
  }
}

// Ranks whose bits would differ do not begin, unless they may be `mixed`; rank 0 is then told how they differ.
std::string meet(Team& team, Trainer& trainer, bool mixed) {
  require_same(team, fmt::format("slopewise {}", version()), "version");
  std::string differ;
  const auto processor = fmt::format("{}, {}", instruction_set_name(instruction_set()), describe_products());
  if (mixed) {
    const std::vector<std::string> all = team.gather(processor);
    const std::set<std::string> kinds(all.begin(), all.end());
    if (kinds.size() > 1) differ = fmt::format("{}", fmt::join(kinds, " and "));
  } else {
    require_same(team, processor, "instruction set and products");
  }
  require_same(team, identity(trainer.network().description), "network");
  require_same(team,
               mixed ? fmt::format("step {}", trainer.step())
                     : fmt::format("step {} and the checksum {:08x}", trainer.step(), trainer.checksum()),
               mixed ? "step" : "weights");
  trainer.share_with(&team, mixed);
  return differ;
}

}  // namespace

void lead(Team* team, const std::string& config, Trainer& trainer, bool mixed, bool quiet) {
  if (!team) return;
  team->gather(fmt::format("{}\n{}", trainer.replaying(), config));
  const std::string differ = meet(*team, trainer, mixed);
  if (differ.empty() || quiet) return;
  std::cerr << fmt::format(
      "slopewise: ranks differ: {}; rank 0's weights are sent to all every hundred steps, and another number of ranks "
      "would find other bits\n",
      differ);
}

int follow(Team& team, const std::string& resumed) {
  bool met = false;
  try {
    const std::string told = team.gather("")[0];
    const std::size_t line = told.find('\n');
    Index replayed = 0;
    std::from_chars(told.data(), told.data() + line, replayed);
    TrainOptions options;
    Settings settings = train_settings(options);
    apply_config(settings, told.substr(line + 1), "rank 0's options");
    apply(options.run);
    const TrainSettings resolved = resolve(options, settings);
    const std::optional<OnnxNetwork> model = open_model(options);
    const DataSplit data = load_data(options, model);
    Trainer trainer(resolved, data, network_of(resolved, data, model));
    if (!resumed.empty()) {
      const std::filesystem::path directory = resumed;
      CheckpointReader kept(directory / "checkpoint.safetensors");
      trainer.restore(kept);
      std::vector<SlopeRecord> tail;
      if (replayed > 0) {
        SlopeLogReader log(directory / kSlopeLogFile);
        while (log.steps() < trainer.step() + replayed) {
          std::optional<SlopeRecord> record = log.next();
          if (!record) throw FileError(fmt::format("{}: ends before rank 0's", log.path().string()));
          if (log.steps() > trainer.step()) tail.push_back(std::move(*record));
        }
      }
      trainer.replay(std::move(tail), (directory / kSlopeLogFile).string());
    } else if (!options.initial.empty()) {
      trainer.load_weights(options.initial);
    }
    meet(team, trainer, options.mixed);
    met = true;
    while (trainer.step() < trainer.steps()) trainer.advance();
  } catch (const NumericError&) {  // rank 0 has seen the same
  } catch (const TeamError&) {     // likewise, or it has ended
  } catch (const std::exception& error) {
    if (!met) throw;
    throw RankLost(team.rank(), fmt::format("rank {}: {}", team.rank(), error.what()));
  }
  return 0;
}

}  // namespace slopewise
