// A run's memory in one safetensors file: weights under their own names, all else under "state/…", counters as strings,
// and a checksum over all of it.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "slopewise/data/safetensors.hpp"
#include "slopewise/tensor/layout.hpp"
#include "slopewise/tensor/state.hpp"

namespace slopewise {

// Collects views of what is to be kept; all of it must stay as it is until save().
class CheckpointWriter {
 public:
  // Weights by the names of their segments, "<prefix><segment>".
  void add(const std::string& prefix, const ParameterLayout& layout, std::span<const float> theta);
  template <class T>
  void add(const std::string& name, const StateView<T>& state);
  void add(const std::string& name, const StatePart& part);
  // A number or word of the run.
  void set(const std::string& name, std::string value) { metadata_[name] = std::move(value); }
  // Throws FileError as save_safetensors does.
  void save(const std::filesystem::path& path);

 private:
  std::vector<SafetensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

// Reads the same back. What is missing or of another shape is a FileError that names the file.
class CheckpointReader {
 public:
  // Throws FileError if the file is no checkpoint or not, to the bit, what CheckpointWriter wrote.
  explicit CheckpointReader(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const SafetensorsFile& file() const { return file_; }
  // The state under `name`, whose vectors have the names and sizes of `like`; valid as long as the reader.
  template <class T>
  StateView<T> state(const std::string& name, const StateView<T>& like);
  StatePart part(const std::string& name, const StatePart& like);
  std::string get(const std::string& name) const;
  std::int64_t get_integer(const std::string& name) const;

 private:
  std::filesystem::path path_;
  SafetensorsFile file_;
  // What states point to.
  std::deque<std::vector<float>> floats_;
  std::deque<std::vector<double>> doubles_;
};

// Reads the weights that CheckpointWriter::add wrote under `prefix`. Throws FileError for one that is missing or of
// another shape.
void read_weights(const SafetensorsFile& file, const std::string& prefix, const ParameterLayout& layout,
                  std::span<float> theta);

}  // namespace slopewise
