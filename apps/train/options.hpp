// The options of `slopewise train`, and the presets: files of the same options, named.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "apps/arguments.hpp"
#include "apps/onnx_options.hpp"
#include "apps/run_directory.hpp"
#include "slopewise/base/named.hpp"
#include "slopewise/train/settings.hpp"

namespace slopewise {

struct TrainOptions {
  TrainSettings settings;
  DataOptions data;
  RunOptions run;
  std::string method = "activities";  // as the user names it; "local" is activities in blocks
  std::string model = "mlp";          // or an ONNX file
  OnnxSettings onnx;
  std::vector<Index> hidden;              // empty: the model's own
  std::vector<std::string> convolutions;  // "32", "64p": p pools, n does not pad; empty: the model's own
  std::string estimator = "forward";      // of weights
  std::string correction = "full";
  std::string precision = "float32", tangent_precision = "float32";
  Index tangents = 8;
  std::optional<double> rate = 0.001;    // none: by itself
  std::string law;                       // empty: the method's usual one
  double clip_slope = 0, clip_norm = 0;  // 0: none
  bool one_by_one = false, estimated_head = false, one_sided = false;
  Index exact_blocks = -1;       // −1: none
  Index memory = 0;              // bytes for which these are chosen; 0: they are not
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
  std::string log_slopes = "auto";
  std::string divide = "examples";
  Index pieces = -1;         // −1: one, or with ranks what divides well
  Index workers = 1;         // ranks to start here
  double rank_timeout = 60;  // seconds
  bool mixed = false;        // ranks may have other processors
  bool elastic = false;      // go on without a rank that is lost
  std::string preset, resume;
  RunDirectoryOptions directory;
  bool no_report = false;
};

// All of them as a table. `options` must live as long as it.
Settings train_settings(TrainOptions& options);
// Which of them say what is trained, on what and in which batches.
bool is_of_task(const Setting& setting);
// What the options say, once all are given; `given` says which were. Throws ArgumentError for what does not fit
// together.
TrainSettings resolve(const TrainOptions& options, const Settings& given);

// A file of presets/: options of train, below a comment that says what they are for.
struct Preset {
  std::string name, toml;

  std::string summary() const;  // the first line's comment
  // "--model NETWORK.onnx and --data FILE.npz: ...", the second line's, of one that names no data set: what it is for.
  std::string made_for() const;
};
const NamedTable<Preset>& presets();
// Throws ArgumentError, which begins with `source`, where the preset is for a data set, or for a model and data of the
// user's own, and `settings` were not given them.
void require_task(const Preset& preset, const Settings& settings, const std::string& source);

}  // namespace slopewise
