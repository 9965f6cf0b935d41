#include "apps/bench/memory.hpp"

#include <fmt/format.h>

#include <charconv>

#include "apps/bench/child.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/memory.hpp"

namespace slopewise {
namespace {

constexpr int kRuns = 3;

// The options that say how a model's file is read.
std::vector<std::string> reading_words(const BenchModel& model) {
  if (!model.is_file()) return {};
  std::vector<std::string> words{"--train", model.onnx.train, "--loss", model.onnx.loss};
  if (!model.onnx.output.empty()) words.insert(words.end(), {"--output", model.onnx.output});
  for (const std::string& extent : model.onnx.extents) words.insert(words.end(), {"--extent", extent});
  if (model.onnx.blocks) words.insert(words.end(), {"--exact-blocks", std::to_string(*model.onnx.blocks)});
  if (model.onnx.unfused) words.emplace_back("--unfused");
  return words;
}

}  // namespace

void require_peak_of_memory() {
  try {
    restart_peak();
  } catch (const FileError& error) {
    throw FileError(fmt::format("{}: use --no-memory", error.what()));
  }
}

Index peak_above_parameters(const BenchModel& model, Index batch, const StepKind& kind) {
  {
    const BenchSubject small = BenchSubject::small(model);
    make_step(kind, small, small.start())();
  }
  const BenchSubject subject = BenchSubject::make(model, batch);
  Parameters<float> theta = subject.start();
  restart_peak();
  const Index held = resident_bytes();
  const std::function<void()> step = make_step(kind, subject, std::move(theta));
  for (int run = 0; run < kRuns; ++run) step();
  return peak_bytes() - held;
}

Index peak_of_fresh_process(const BenchModel& model, Index batch, int threads, const StepKind& kind) {
  std::vector<std::string> arguments = {"/proc/self/exe",
                                        "bench",
                                        "--peak-of",
                                        kind.name,
                                        "--model",
                                        model.name,
                                        "--batch",
                                        std::to_string(batch),
                                        "--threads",
                                        std::to_string(threads),
                                        "--precision",
                                        kind.precision == Precision::kBfloat16 ? "bf16" : "float32",
                                        "--tangent-precision",
                                        kind.precision == Precision::kFloat32 ? "float32" : "bf16",
                                        "--tangent-storage",
                                        kind.storage == TangentStorage::kAuto     ? "auto"
                                        : kind.storage == TangentStorage::kStored ? "stored"
                                                                                  : "drawn"};
  for (const std::string& word : reading_words(model)) arguments.push_back(word);
  if (kind.tangents > 0) {
    arguments.push_back("--tangents");
    arguments.push_back(std::to_string(kind.tangents));
  }
  Child child(arguments, {});
  const std::optional<std::string> answer = child.receive("measuring memory");
  if (!answer) throw Error(fmt::format("the process that measures the memory of {} failed", kind.name));
  Index bytes = 0;
  const auto [end, error] = std::from_chars(answer->data(), answer->data() + answer->size(), bytes);
  if (error != std::errc()) {
    throw Error(
        fmt::format("the process that measures the memory of {} answered '{}', expected bytes", kind.name, *answer));
  }
  return bytes;
}

}  // namespace slopewise
