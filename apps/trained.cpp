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
  settings.add("run", options.run, text("RUN"), "Directory of a training run, or a file of weights that train wrote",
               {.positional = true, .required = true});
  add_data_options(settings, options.data);
  settings.add("set", options.set, one_of({"test", "train"}),
               "Which of the data's sets; data of one set are all taken");
  settings.add("seed", options.seed, whole(0, INT64_MAX), "Seed of --test-share");
  settings.add("threads", options.threads, whole(1, 1024), "Threads; they change the time, not the results",
               {.otherwise = "all cores"});
}

Dataset data_for(const TrainedNetwork& network, const TrainedOptions& options, bool labels_needed) {
  DataOptions data = options.data;
  std::uint64_t seed = options.seed;
  double rotate = 0;
  const std::filesystem::path config = std::filesystem::path(options.run) / "config.toml";
  std::error_code ignored;
  if (data.path.empty() && std::filesystem::exists(config, ignored)) {
    TrainOptions of_run;
    Settings train = train_settings(of_run);
    apply_config(train, read_text(config), config.string());
    data = of_run.data;
    seed = of_run.run.seed;
    rotate = of_run.rotate;
  }
  DataSplit split = load_data(data, seed, network.data(), labels_needed);
  Dataset set = options.set == "train" ? std::move(split.train) : std::move(split.test);
  if (rotate != 0) rotate_images(set, rotate);
  return set;
}

}  // namespace slopewise
