#include "readers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "apps/config.hpp"
#include "apps/data/archive.hpp"
#include "apps/train/options.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/data/csv_table.hpp"
#include "slopewise/data/idx.hpp"
#include "slopewise/data/image_file.hpp"
#include "slopewise/data/load.hpp"
#include "slopewise/data/tensor_file.hpp"
#include "slopewise/onnx/model.hpp"
#include "slopewise/report/page.hpp"
#include "slopewise/train/checkpoint.hpp"
#include "slopewise/train/replay.hpp"
#include "slopewise/train/trained_network.hpp"

namespace slopewise {
namespace {

using Path = std::filesystem::path;
using Bytes = std::span<const std::uint8_t>;

// Small files need not be allowed more.
constexpr UnpackLimit kUnpack{.ratio = 100, .least = std::uint64_t{1} << 20};

Path put(const Path& path, Bytes bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return path;
}
Path put(const Path& path, std::string_view text) {
  return put(path, Bytes(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

void read_all(const Array& array) {
  if (array.shape.rank() == 0 || array.shape[0] == 0) return;
  const std::int64_t ends[] = {0, array.shape[0] - 1};
  const auto row = static_cast<std::size_t>(array.shape.size() / array.shape[0]);
  std::vector<double> numbers(2 * row);
  array.rows.read<double>(ends, numbers);
}

void read_all(const Dataset& set) {
  if (set.count() == 0) return;
  const std::int64_t ends[] = {0, set.count() - 1};
  std::vector<double> numbers(2 * static_cast<std::size_t>(set.image_shape.size()));
  gather_stored<double>(set, ends, numbers);
}

void load(const Path& path, double test_share = 0) {
  const DataSplit split = load_dataset(path, {.test_share = test_share, .unpack = kUnpack});
  read_all(split.train);
  read_all(split.test);
}

void idx(Bytes bytes, const Path& directory) {
  read_all(read_idx(put(directory / "a-idx3-ubyte", bytes), kUnpack));
}

void npy(Bytes bytes, const Path& directory) {
  const Path path = put(directory / "a.npy", bytes);
  NpyReader array = NpyReader::open(path);
  if (array.is_text()) {
    array.words(1 << 16);
    return;
  }
  read_all(array.array());
  NpyReader::open(path).read<float>();
}

void npz(Bytes bytes, const Path& directory) {
  const Path path = put(directory / "a.npz", bytes);
  const NpzFile file(path, kUnpack);
  for (const std::string& name : file.names()) {
    if (NpyReader array = file.open(name); array.is_text()) {
      array.words(100);
    } else {
      read_all(array.array());
    }
  }
  load(path, file.contains("x_test") ? 0 : 0.5);
}

void safetensors(Bytes bytes, const Path& directory) {
  const Path path = put(directory / "a.safetensors", bytes);
  const SafetensorsFile file(path);

  for (const std::string& name : file.names()) {
    read_all(file.array(name));
  }
  load(path, file.contains("x_test") ? 0 : 0.5);
}

// The weights of a network, as `slopewise evaluate` takes them, and a run's memory.
void checkpoint(Bytes bytes, const Path& directory) {
  const Path path = put(directory / "checkpoint.safetensors", bytes);
  try {
    const TrainedNetwork network(path);
  } catch (const Error&) {
  }
  CheckpointReader file(path);
  file.get_integer("step");
}

void csv(Bytes bytes, const Path& directory) {
  const Path path = put(directory / "a.csv", bytes);
  read_csv(path, "", kUnpack);
  load(path, 0.5);
}

void cifar(Bytes bytes, const Path& directory) {
  for (int part = 1; part <= 5; ++part) put(directory / fmt::format("data_batch_{}.bin", part), bytes);
  put(directory / "test_batch.bin", bytes);
  load(directory);
}

void tar(Bytes bytes, const Path& directory) {
  const Path path = put(directory / "a.tar.gz", bytes);
  const Path unpacked = directory / "unpacked";
  std::filesystem::create_directory(unpacked);
  unpack(path, {"data_batch_1.bin", "b"}, unpacked);
}

void toml(Bytes bytes, const Path&) {
  const std::string text(bytes.begin(), bytes.end());
  TrainOptions options, again;
  Settings settings = train_settings(options);
  apply_config(settings, text, "a.toml");
  verb_of_config(text, "a.toml");
  // What was taken is written so that it reads back as the same.
  const std::string written = config_of(settings);
  Settings read_back = train_settings(again);
  apply_config(read_back, written, "written");
  if (config_of(read_back) != written) throw std::logic_error("config.toml does not read back as it was");
}

// The page of a run, and of a comparison of which it is the document.
void results(Bytes bytes, const Path& directory) {
  put(directory / "results.json", bytes);
  put(directory / "compare.json", bytes);
  try {
    comparison_page(read_comparison(directory));
  } catch (const Error&) {
  }
  const RunFiles runs[] = {read_run(directory)};
  report_page(runs);
}

void metrics(Bytes bytes, const Path& directory) {
  put(directory / "results.json", R"({"schema": "slopewise.train/1", "name": "a", "config": {}, "results": {}})");
  put(directory / "metrics.jsonl", bytes);
  const RunFiles runs[] = {read_run(directory)};
  report_page(runs);
}

void image(Bytes bytes, const Path& directory) {
  for (const char* name : {"one", "two"}) {
    std::filesystem::create_directories(directory / name);
    put(directory / name / "a.png", bytes);
  }
  read_image(directory / "one" / "a.png");
  load(directory, 0.5);
}

void onnx(Bytes bytes, const Path&) {
  const OnnxModel model = load_onnx(bytes, "a.onnx");
  model.initial<float>();
}

// A log of slopes. Text is taken for the recipe in a log's header, whose checksum no guess would hit.
void slope_log(Bytes bytes, const Path& directory) {
  constexpr Index kMost = 10'000;  // a log is smaller than the weights that it makes
  const Path path = directory / "slopes.log";
  if (!bytes.empty() && bytes.front() == '{') {
    SlopeLog(path, std::string(bytes.begin(), bytes.end()), 1).add({});
  } else {
    put(path, bytes);
  }
  SlopeLogReader reader(path);
  while (reader.next()) continue;
  const Recipe recipe = recipe_from(reader.header(), "a log");
  if (recipe.layout.size > kMost || recipe.options.tangents > kMost || recipe.options.subspace > kMost) return;
  Replay replay(path);
  while (replay.advance()) continue;
  replay.save_weights(directory / "weights.safetensors");
}

constexpr FuzzedReader kReaders[] = {
    {"idx", idx},
    {"npy", npy},
    {"npz", npz},
    {"safetensors", safetensors},
    {"checkpoint", checkpoint},
    {"csv", csv},
    {"cifar", cifar},
    {"tar", tar},
    {"toml", toml},
    {"results", results},
    {"metrics", metrics},
    {"image", image},
    {"onnx", onnx},
    {"log", slope_log},
};

}  // namespace

std::span<const FuzzedReader> fuzzed_readers() {
  return kReaders;
}

const FuzzedReader& fuzzed_reader(std::string_view name) {
  std::string names;
  for (const FuzzedReader& reader : kReaders) {
    if (reader.name == name) return reader;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", reader.name);
  }
  throw ArgumentError(fmt::format("expected a reader out of {}, found '{}'", names, name));
}

void read_or_refuse(const FuzzedReader& reader, std::span<const std::uint8_t> bytes, const Path& directory) {
  try {
    reader.read(bytes, directory);
  } catch (const Error&) {
  }
}

}  // namespace slopewise
