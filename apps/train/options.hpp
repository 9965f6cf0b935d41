// The options of `slopewise train`, and the presets: files of the same options, named.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "apps/arguments.hpp"
#include "slopewise/train/settings.hpp"

namespace CLI {
class App;
}

namespace slopewise {

struct TrainOptions {
  TrainSettings settings;
  DataOptions data;
  RunOptions run;
  std::string method = "activities";  // as the user names it; "local" is activities in blocks
  std::string model = "mlp";
  std::vector<Index> hidden;              // empty: the model's own
  std::vector<std::string> convolutions;  // "32", "64p": p pools, n does not pad; empty: the model's own
  std::string estimator = "forward";      // of weights
  std::string correction = "full";
  std::string precision = "float32", tangent_precision = "float32";
  Index tangents = 8;
  std::string rate = "0.001";            // or "auto"
  std::string law;                       // empty: the method's usual one
  double clip_slope = 0, clip_norm = 0;  // 0: none
  bool one_by_one = false, estimated_head = false;
  Index block_layers = -1;       // −1: what the method says
  double seconds = 0;            // 0: no limit
  double forwards = 0;           // 0: no limit
  double target_accuracy = 0;    // percent; 0: none
  double evaluate_every = 1;     // epochs
  Index log_every = 100;         // steps
  Index measure_every = -1;      // steps; 0: never; −1: about 20 times in the run
  Index check_every = 0;         // steps; 0: never
  double checkpoint_every = 60;  // seconds
  double rotate = 0;             // degrees
  std::string initial;           // weights to start from
  std::string preset, resume;
  std::string out = "runs/train";
  bool no_report = false;
};

// Adds all of them. `options` must live as long as the command.
void add_train_options(CLI::App& command, TrainOptions& options);
// What the options say, once all are given. Throws ArgumentError for what does not fit together.
TrainSettings resolve(const TrainOptions& options);

// Presets by name, each with its file's text.
struct Preset {
  const char* name;
  const char* toml;
};
std::span<const Preset> presets();
// Throws ArgumentError, naming the nearest, for an unknown name.
const Preset& find_preset(const std::string& name);

}  // namespace slopewise
