#include "apps/bench/onnxruntime.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "apps/bench/onnx_model.hpp"
#include "apps/bench/steps.hpp"
#include "slopewise/base/atomic_file.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/onnx/value.hpp"

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

using Json = nlohmann::ordered_json;

// Whether an input is an image, which the peer reads with its channels first.
bool is_image(const GraphNode& input) {
  return input.kind == GraphNode::Kind::kInput && input.shape.rank() == 3;
}

// The inputs of a network with their shapes for so many examples: those of the file, or image and label.
Json inputs_of(const BenchSubject& subject) {
  Json inputs = Json::array();
  const Program& program = subject.program();
  for (std::size_t i = 0; i < program.inputs().size(); ++i) {
    const GraphNode& node = program.node(program.inputs()[i]);
    std::vector<Index> shape = node.shape.extents();
    if (is_image(node)) shape = {shape[2], shape[0], shape[1]};
    shape.insert(shape.begin(), subject.batch_size());
    inputs.push_back({{"name", node.name},
                      {"shape", shape},
                      {"type", node.kind == GraphNode::Kind::kIndices ? "int32" : "float32"},
                      {"file", fmt::format("input{}", i)}});
  }
  return inputs;
}

void write_inputs(const BenchSubject& subject, const std::filesystem::path& files) {
  const Batch<float> batch = subject.batch();
  for (std::size_t i = 0; i < batch.inputs.size(); ++i) {
    const std::filesystem::path file = files / fmt::format("input{}", i);
    const GraphNode& node = subject.program().node(subject.program().inputs()[i]);
    if (is_image(node)) {
      std::vector<Index> dims = node.shape.extents();
      dims.insert(dims.begin(), batch.rows);
      const auto& given = std::get<0>(batch.inputs[i]);
      write_numbers<float>(file, permuted(std::vector<float>(given.begin(), given.end()), dims, {0, 3, 1, 2}));
    } else {
      std::visit([&](const auto& numbers) { write_numbers(file, numbers); }, batch.inputs[i]);
    }
  }
}

// What onnxruntime.js reads, and its arguments. A file's labels are no input of it.
std::vector<std::string> prepare(const OnnxRuntime::Place& place, const BenchSubject& subject,
                                 const BenchSubject& small, int threads, const std::filesystem::path& files) {
  Json bench{{"output", "loss"}};
  for (const auto& [name, of] : {std::pair("model", &subject), std::pair("small", &small)}) {
    const std::filesystem::path own = files / fmt::format("{}.onnx", name);
    if (!of->file()) write_onnx_model(own, *of, of->start().values());
    bench[name] = {{"path", of->file() ? std::filesystem::absolute(of->file()->file()).string() : own.string()},
                   {"inputs", inputs_of(*of)}};
    if (of->file()) bench[name]["inputs"].erase(bench[name]["inputs"].size() - 1);
  }
  write_inputs(subject, files);
  if (subject.file()) {
    bench["output"] = subject.file()->graph().outputs[0].name;
    bench["classes"] = subject.program().node(subject.output()).shape[-1];
    bench["labels"] = fmt::format("input{}", subject.program().inputs().size() - 1);
  }
  write_text(files / "bench.json", bench.dump());
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

OnnxRuntime::OnnxRuntime(const Place& place, const BenchModel& model, Index batch, int threads, FreedMemory freed)
    : subject_(BenchSubject::make(model, batch)),
      peer_("ONNX Runtime", prepare(place, subject_, BenchSubject::small(model), threads, files_.path()), {}, freed,
            threads, kOnnxRuntimeSettling, [&](const std::string& reason) {
              return fmt::format(
                  "--against onnxruntime: {0} has no onnxruntime-node ({1}): install it with: npm install --prefix {0} "
                  "--ignore-scripts {2}; or name another directory by --onnxruntime",
                  place.directory.string(), reason, kPackage);
            }) {}

Index OnnxRuntime::peak(const Place& place, const BenchModel& model, Index batch, int threads) {
  return OnnxRuntime(place, model, batch, threads, FreedMemory::kGivenBack).peer_.peak("loss");
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
