#include "apps/bench/onnxruntime.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string_view>

#include "apps/bench/onnx_model.hpp"
#include "apps/bench/steps.hpp"
#include "slopewise/base/error.hpp"

namespace slopewise {

extern const char* const kOnnxRuntimeScript;  // onnxruntime.js; the build makes its definition

namespace {

// Its threads look for work for 40 ms.
constexpr std::chrono::milliseconds kOnnxRuntimeSettling{60};
constexpr std::string_view kPackage = "onnxruntime-node@1.30.0";

template <class T>
void write_numbers(const std::filesystem::path& file, std::span<const T> numbers) {
  std::ofstream stream(file, std::ios::binary);
  stream.write(reinterpret_cast<const char*>(numbers.data()), static_cast<std::streamsize>(numbers.size_bytes()));
  if (!stream.flush()) throw FileError(fmt::format("{}: cannot write", file.string()));
}

// What onnxruntime.js reads, and its arguments.
std::vector<std::string> prepare(const OnnxRuntime::Place& place, const BenchSubject& subject,
                                 const BenchSubject& small, int threads, const std::filesystem::path& files) {
  write_onnx_model(files / "model.onnx", subject, start_parameters(subject).values());
  write_onnx_model(files / "small.onnx", small, start_parameters(small).values());
  const Batch<float> batch = subject.batch();
  write_numbers(files / "image", std::get<0>(batch.inputs[0]));
  write_numbers(files / "label", std::get<1>(batch.inputs[1]));
  return {
      place.node, "-e", kOnnxRuntimeScript, "--", place.directory.string(), files.string(), std::to_string(threads)};
}

}  // namespace

std::filesystem::path default_onnxruntime_directory() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  const std::filesystem::path base = cache && *cache ? std::filesystem::path(cache)
                                     : home          ? std::filesystem::path(home) / ".cache"
                                                     : std::filesystem::path(".cache");
  return base / "slopewise" / "onnxruntime";
}

OnnxRuntime::OnnxRuntime(const Place& place, std::string_view model, Index batch, int threads,
                         const std::vector<std::string>& variables)
    : subject_(model, batch),
      peer_("ONNX Runtime", prepare(place, subject_, BenchSubject::small(model), threads, files_.path()), variables,
            threads, kOnnxRuntimeSettling, [&](const std::string& reason) {
              return fmt::format(
                  "--against onnxruntime: {0} has no onnxruntime-node ({1}): install it with: npm install --prefix {0} "
                  "--ignore-scripts {2}; or name another directory by --onnxruntime",
                  place.directory.string(), reason, kPackage);
            }) {}

Index OnnxRuntime::peak(const Place& place, std::string_view model, Index batch, int threads) {
  // What it frees once the model is loaded goes back to the system, and is not there for a run to use unseen.
  return OnnxRuntime(place, model, batch, threads, {"MALLOC_MMAP_THRESHOLD_=65536", "MALLOC_TRIM_THRESHOLD_=65536"})
      .peer_.peak("loss");
}

void OnnxRuntime::require_equal_loss() {
  const double expected = start_loss(subject_);
  const std::string answer = peer_.ask("loss");
  char* end = nullptr;
  const double found = std::strtod(answer.c_str(), &end);
  if (end != answer.c_str() && std::abs(found - expected) <= kLossTolerance * std::abs(expected)) return;
  throw Error(fmt::format(
      "ONNX Runtime {} computes another loss than Slopewise from the same network: expected {} within {:.0e}, found {}",
      version(), expected, kLossTolerance, answer));
}

}  // namespace slopewise
