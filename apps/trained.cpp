#include "apps/trained.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "apps/config.hpp"
#include "apps/train/options.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/input_file.hpp"
#include "slopewise/data/rotate.hpp"

namespace slopewise {

void add_trained_options(Settings& settings, TrainedOptions& options) {
  settings.add("run", options.run, text("RUN"),
               "Directory of a training run, a file of weights that train wrote, or an ONNX file",
               {.positional = true, .required = true});
  add_data_options(settings, options.data);
  settings.add("set", options.set, one_of({"test", "train"}),
               "Which of the data's sets; data of one set are all taken");
  add_onnx_reading(settings, options.onnx, &options.data);
  settings.begin("");
  add_run_options(settings, options.run_options);
}

TrainedNetwork open_network(const TrainedOptions& options, const Settings& given) {
  if (is_onnx(options.run)) {
    const OnnxNetwork opened =
        onnx_network(options.run, training_options(options.onnx), onnx_loss_options(options.onnx));
    return TrainedNetwork(options.run, opened.network, data_of(*opened.model, onnx_loss_options(options.onnx)));
  }
  refuse_onnx_reading(given, "an ONNX file; a run's network is read as it was trained");
  return TrainedNetwork(options.run, [](const std::string& description, const Dataset& data) {
    return describes_onnx(description) ? onnx_network(description).network : network_of_family(description, data);
  });
}

Dataset data_for(const TrainedNetwork& network, const TrainedOptions& options, const Settings& given,
                 bool labels_needed) {
  DataOptions data = options.data;
  std::uint64_t seed = options.run_options.seed;
  double rotate = 0;
  DataUse use = is_onnx(options.run) ? DataUse::kJudgeFile : DataUse::kJudgeTrained;
  const std::filesystem::path config = network.path().parent_path() / "config.toml";
  std::error_code ignored;
  if (use == DataUse::kJudgeTrained && data.path.empty() && data.arrays.empty() &&
      std::filesystem::exists(config, ignored)) {
    for (const char* name : {"test-share", "label", "target", "layout", "scale", "unpack-ratio", "seed"})
      require_unused_unless(false, given.at(name), "--data, as the run's own data are read as it read them");
    TrainOptions of_run;
    Settings train = train_settings(of_run);
    apply_config(train, read_text(config), config.string());
    data = of_run.data;
    seed = of_run.run.seed;
    rotate = of_run.rotate;
    use = DataUse::kJudgeAgain;
  }
  DataSplit split = load_data(data, seed, network.data(), use, labels_needed);
  Dataset set = options.set == "train" ? std::move(split.train) : std::move(split.test);
  if (rotate != 0) rotate_images(set, rotate);
  return set;
}

}  // namespace slopewise
