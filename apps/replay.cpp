// `slopewise replay`: the weights of any step of a run, from its log of slopes.
#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <memory>

#include "apps/arguments.hpp"
#include "apps/verb.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt.hpp"
#include "slopewise/onnx/network.hpp"
#include "slopewise/report/progress.hpp"
#include "slopewise/report/text.hpp"
#include "slopewise/train/replay.hpp"

namespace slopewise {
namespace {

struct ReplayOptions {
  std::string log, initial, out;
  Index to = -1;
  RunOptions run;
};

// The weights of an ONNX file, or drawn from the seed.
Parameters<float> start_of(const Recipe& recipe) {
  const auto network = recipe.strings.find("network");
  if (network == recipe.strings.end() || !describes_onnx(network->second)) return drawn_start(recipe);
  return onnx_network(network->second).network.initial(0, recipe.initial_seed);
}

int run_replay(const ReplayOptions& options) {
  apply(options.run);
  const std::filesystem::path out = options.out;
  if (std::filesystem::exists(out) && !std::filesystem::is_regular_file(out))
    throw FileError(fmt::format("{}: cannot write: expected a file or nothing there", options.out));
  if (!options.out.empty()) require_extension("--out", out, {".safetensors"});
  Replay replay(options.log, options.initial, start_of);
  {
    Progress progress("replay", static_cast<double>(options.to >= 0 ? options.to : replay.logged()),
                      {.quiet = options.run.quiet, .unit = "steps"});
    while (options.to < 0 || replay.step() < options.to) {
      check_interrupted("replaying");
      if (!replay.advance()) break;
      progress.advance();
    }
  }
  if (!replay.damage().empty()) std::cerr << fmt::format("slopewise: {}\n", replay.damage());
  if (replay.step() < options.to)
    throw FileError(
        fmt::format("{}: --to: expected a step up to {}, found {}", options.log, replay.step(), options.to));
  if (!options.out.empty()) replay.save_weights(out);
  if (options.run.quiet) return 0;
  std::cout << fmt::format("The weights after step {}, of the checksum {:08x}", replay.step(),
                           checksum_of(replay.theta()))
            << (options.out.empty() ? "" : fmt::format(": {}", printable(options.out))) << '\n';
  return 0;
}

}  // namespace

Verb replay_verb() {
  const auto options = std::make_shared<ReplayOptions>();
  Verb verb{.settings = Settings("replay"),
            .summary = "Make the weights of any step of a run again, from its log of slopes, without data"};
  Settings& settings = verb.settings;
  settings.add("run", options->log, text("RUN"), "Directory of a training run, or a log of slopes from anywhere",
               {.positional = true, .required = true});
  settings.add("to", options->to, whole(0, 1'000'000'000'000), "Steps to make; 0: the weights it began with",
               {.otherwise = "all"});
  settings.add("initial", options->initial, text("FILE"), "The weights the run began with (.safetensors or .npz)",
               {.otherwise = "those of its seed"});
  settings.add("out", options->out, text("FILE"), "File of weights to write (.safetensors)",
               {.letter = 'o', .otherwise = "none: only their checksum is told"});
  add_run_options(settings, options->run);
  verb.examples = {"slopewise replay runs/train --out weights.safetensors",
                   "slopewise replay slopes.log --to 1000 --initial start.safetensors --out weights.safetensors"};
  verb.run = [options](Settings&) { return run_replay(*options); };
  return verb;
}

}  // namespace slopewise
