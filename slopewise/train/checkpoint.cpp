#include "slopewise/train/checkpoint.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <variant>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

const std::string kChecksum = "crc32";

std::string key_of(const std::string& name, std::string_view part) {
  return fmt::format("state/{}/{}", name, part);
}

// CRC-32 of the metadata but for itself, then of names and entries; a length before each keeps neighbours apart.
class Checksum {
 public:
  explicit Checksum(const std::map<std::string, std::string>& metadata) {
    for (const auto& [name, value] : metadata) {
      if (name == kChecksum) continue;
      add(std::span<const char>(name));
      add(std::span<const char>(value));
    }
  }
  template <class T>
  void add(std::span<T> numbers) {
    const std::uint64_t bytes = numbers.size_bytes();
    crc_ = crc32_z(crc_, reinterpret_cast<const Bytef*>(&bytes), sizeof bytes);
    // A null pointer would start the sum anew.
    if (bytes > 0) crc_ = crc32_z(crc_, reinterpret_cast<const Bytef*>(numbers.data()), bytes);
  }
  std::string text() const { return fmt::format("{:08x}", crc_); }

 private:
  uLong crc_ = crc32_z(0, nullptr, 0);
};

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

void CheckpointWriter::add(const std::string& name, const StatePart& part) {
  std::visit([&](const auto& state) { add(name, state); }, part.state);
}

void CheckpointWriter::save(const std::filesystem::path& path) {
  std::ranges::sort(tensors_, {}, &SafetensorView::name);
  Checksum sum(metadata_);
  for (const SafetensorView& tensor : tensors_) {
    sum.add(std::span<const char>(tensor.name));
    std::visit([&](auto values) { sum.add(values); }, tensor.values);
  }
  set(kChecksum, sum.text());
  save_safetensors(path, tensors_, metadata_);
}

CheckpointReader::CheckpointReader(const std::filesystem::path& path) : path_(path), file_(path) {
  Checksum sum(file_.metadata());
  for (const std::string& name : file_.names()) {
    sum.add(std::span<const char>(name));
    if (file_.type(name) == NumberType::kFloat32) {
      sum.add(std::span<const float>(file_.read<float>(name, file_.shape(name))));
    } else {
      sum.add(std::span<const double>(file_.read<double>(name, file_.shape(name))));
    }
  }
  if (const std::string kept = get(kChecksum); kept != sum.text()) {
    throw FileError(fmt::format("{}: damaged: expected the checksum '{}' of its content, found '{}'", path.string(),
                                sum.text(), kept.substr(0, 40)));
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

StatePart CheckpointReader::part(const std::string& name, const StatePart& like) {
  return std::visit([&](const auto& state) { return StatePart{like.name, this->state(name, state)}; }, like.state);
}

std::string CheckpointReader::get(const std::string& name) const {
  const auto found = file_.metadata().find(name);
  if (found == file_.metadata().end())
    throw FileError(fmt::format("{}: expected '{}' among the checkpoint's metadata, found none", path_.string(), name));
  return found->second;
}

std::int64_t CheckpointReader::get_integer(const std::string& name) const {
  const std::string text = get(name);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    throw FileError(fmt::format("{}: '{}': expected a number, found '{}'", path_.string(), name, text.substr(0, 40)));
  return value;
}

void read_weights(const SafetensorsFile& file, const std::string& prefix, const ParameterLayout& layout,
                  std::span<float> theta) {
  for (const Segment& segment : layout.segments) {
    const std::vector<float> values = file.read<float>(prefix + segment.name, segment.shape);
    std::ranges::copy(values, theta.begin() + segment.offset);
  }
}

template void CheckpointWriter::add(const std::string&, const StateView<float>&);
template void CheckpointWriter::add(const std::string&, const StateView<double>&);
template StateView<float> CheckpointReader::state(const std::string&, const StateView<float>&);
template StateView<double> CheckpointReader::state(const std::string&, const StateView<double>&);

}  // namespace slopewise
