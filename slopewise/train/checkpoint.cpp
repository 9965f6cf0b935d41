#include "slopewise/train/checkpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

std::string key_of(const std::string& name, std::string_view part) {
  return fmt::format("state/{}/{}", name, part);
}

template <class Number>
Number parse(const std::filesystem::path& path, const std::string& name, const std::string& text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    throw FileError(fmt::format("{}: '{}': expected a number, found '{}'", path.string(), name, text.substr(0, 40)));
  return value;
}

}  // namespace

void CheckpointWriter::add(const std::string& prefix, const ParameterLayout& layout, std::span<const float> theta) {
  for (const Segment& segment : layout.segments) {
    tensors_.push_back(
        {prefix + segment.name, segment.shape,
         theta.subspan(static_cast<std::size_t>(segment.offset), static_cast<std::size_t>(segment.size()))});
  }
}

template <class T>
void CheckpointWriter::add(const std::string& name, const StateView<T>& state) {
  set(key_of(name, "steps"), std::to_string(state.steps));
  for (const auto& vector : state.vectors) {
    tensors_.push_back({key_of(name, vector.name), Shape{static_cast<Index>(vector.values.size())}, vector.values});
  }
}

void CheckpointWriter::save(const std::filesystem::path& path) const {
  save_safetensors(path, tensors_, metadata_);
}

CheckpointReader::CheckpointReader(const std::filesystem::path& path) : path_(path), file_(path) {}

void CheckpointReader::read(const std::string& prefix, const ParameterLayout& layout, std::span<float> theta) const {
  for (const Segment& segment : layout.segments) {
    const std::vector<float> values = file_.read<float>(prefix + segment.name, segment.shape);
    std::ranges::copy(values, theta.begin() + segment.offset);
  }
}

template <class T>
StateView<T> CheckpointReader::state(const std::string& name, const StateView<T>& like) {
  StateView<T> found{.steps = get_integer(key_of(name, "steps"))};
  for (const auto& vector : like.vectors) {
    std::vector<T> values = file_.read<T>(key_of(name, vector.name), Shape{static_cast<Index>(vector.values.size())});
    if constexpr (std::is_same_v<T, float>) {
      found.vectors.push_back({vector.name, floats_.emplace_back(std::move(values))});
    } else {
      found.vectors.push_back({vector.name, doubles_.emplace_back(std::move(values))});
    }
  }
  return found;
}

std::string CheckpointReader::get(const std::string& name) const {
  const auto found = file_.metadata().find(name);
  if (found == file_.metadata().end())
    throw FileError(fmt::format("{}: expected '{}' among the checkpoint's metadata, found none", path_.string(), name));
  return found->second;
}
std::int64_t CheckpointReader::get_integer(const std::string& name) const {
  return parse<std::int64_t>(path_, name, get(name));
}
double CheckpointReader::get_number(const std::string& name) const {
  return parse<double>(path_, name, get(name));
}

template void CheckpointWriter::add(const std::string&, const StateView<float>&);
template void CheckpointWriter::add(const std::string&, const StateView<double>&);
template StateView<float> CheckpointReader::state(const std::string&, const StateView<float>&);
template StateView<double> CheckpointReader::state(const std::string&, const StateView<double>&);

}  // namespace slopewise
