// A run's memory in one safetensors file: weights under their own names, all else under "state/…", counters as strings.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "slopewise/data/safetensors.hpp"
#include "slopewise/tensor/layout.hpp"
#include "slopewise/tensor/parameters.hpp"
#include "slopewise/tensor/state.hpp"

namespace slopewise {

// Collects views of what is to be kept; all of it must stay as it is until save().
class CheckpointWriter {
 public:
  // Weights by the names of their segments, "<prefix><segment>".
  void add(const std::string& prefix, const ParameterLayout& layout, std::span<const float> theta);
  template <class T>
  void add(const std::string& name, const StateView<T>& state);
  // A number or word of the run.
  void set(const std::string& name, std::string value) { metadata_[name] = std::move(value); }
  // Throws FileError as save_safetensors does.
  void save(const std::filesystem::path& path) const;

 private:
  std::vector<SafetensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

// Reads the same back. What is missing or of another shape is a FileError that names the file.
class CheckpointReader {
 public:
  explicit CheckpointReader(const std::filesystem::path& path);

  void read(const std::string& prefix, const ParameterLayout& layout, std::span<float> theta) const;
  // The state under `name`, whose vectors have the names and sizes of `like`; valid as long as the reader.
  template <class T>
  StateView<T> state(const std::string& name, const StateView<T>& like);
  std::string get(const std::string& name) const;
  std::int64_t get_integer(const std::string& name) const;
  double get_number(const std::string& name) const;

 private:
  std::filesystem::path path_;
  SafetensorsFile file_;
  // What states point to.
  std::deque<std::vector<float>> floats_;
  std::deque<std::vector<double>> doubles_;
};

}  // namespace slopewise
