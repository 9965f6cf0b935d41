// Trains a network on the built-in digits without a backward pass: each layer learns from a linear head of its own,
// along tangents of its activities, around a prior that it learns from their slopes. Then saves the run and goes on
// with it.
#include <cstdio>
#include <filesystem>

#include "slopewise/data/digits.hpp"
#include "slopewise/train/trainer.hpp"

namespace sw = slopewise;

int main() {
  const sw::DataSplit digits = sw::builtin_digits(5000, 1000, 1);
  sw::TrainSettings settings;
  settings.network = {.hidden = {64, 64}, .label_smoothing = 0.1, .block_layers = 1};
  settings.method.estimator = "activities";
  settings.method.options.tangents = 2;
  settings.method.options.activity = {.prior = "feedback", .correction = sw::Correction::kGated};
  settings.rate = 3e-3;
  settings.epochs = 4;

  sw::Trainer trainer(settings, digits);
  std::printf("%lld parameters\nepoch  loss   test error  |gradient|^2 SNR    prior's residual at each layer\n",
              static_cast<long long>(trainer.parameters()));
  const auto tell = [&](double loss) {
    // From the slopes of four batches, beside the run: nothing of it depends on this.
    const sw::TrainNoise noise = trainer.measure(4, false);
    std::printf("%5.1f  %.3f  %6.2f %%    %-11.3g  %-6.2g",
                static_cast<double>(trainer.step()) / static_cast<double>(trainer.steps_per_epoch()), loss,
                100 * trainer.evaluate().error, noise.gradient.squared_norm,
                noise.gradient.squared_norm / noise.gradient.variance);
    for (const auto& [site, share] : noise.residuals) std::printf("  %s %.3f", site.c_str(), share);
    std::printf("\n");
  };
  const auto train_to = [&](sw::Trainer& run, sw::Index step) {
    double loss = 0;
    while (run.step() < step) loss = run.advance().loss;
    return loss;
  };
  for (sw::Index epoch = 1; epoch < settings.epochs; ++epoch)
    tell(train_to(trainer, epoch * trainer.steps_per_epoch()));

  // A checkpoint goes on bit for bit.
  const std::filesystem::path path = std::filesystem::temp_directory_path() / "slopewise_train_local.safetensors";
  trainer.save(path, {});
  tell(train_to(trainer, trainer.steps()));
  sw::Trainer resumed(settings, digits);
  sw::CheckpointReader checkpoint(path);
  resumed.restore(checkpoint);
  train_to(resumed, resumed.steps());
  std::filesystem::remove(path);

  const double error = trainer.evaluate().error;
  const bool same = resumed.evaluate().loss == trainer.evaluate().loss;
  std::printf("test error %.2f %%; resumed from its checkpoint: %s\n", 100 * error, same ? "the same" : "another");
  return error < 0.2 && same ? 0 : 1;
}
