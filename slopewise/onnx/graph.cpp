#include "slopewise/onnx/graph.hpp"

#include <zlib.h>

#include "slopewise/base/input_file.hpp"

namespace slopewise {

Index OnnxTensor::size() const {
  return std::visit([](const auto& held) { return static_cast<Index>(held.size()); }, numbers);
}

bool OnnxTensor::floating() const {
  return type == OnnxType::kFloat || type == OnnxType::kDouble || type == OnnxType::kHalf ||
         type == OnnxType::kBfloat16;
}

template <class T>
std::vector<T> OnnxTensor::as() const {
  return std::visit([](const auto& held) { return std::vector<T>(held.begin(), held.end()); }, numbers);
}
template std::vector<float> OnnxTensor::as<float>() const;
template std::vector<double> OnnxTensor::as<double>() const;
template std::vector<std::int64_t> OnnxTensor::as<std::int64_t>() const;

std::vector<std::uint8_t> read_bytes(const std::filesystem::path& file) {
  const InputFile input(file);
  std::vector<std::uint8_t> bytes(input.size());
  input.read(0, bytes);
  return bytes;
}

std::uint32_t checksum_of(std::span<const std::uint8_t> bytes) {
  return static_cast<std::uint32_t>(crc32_z(0, bytes.data(), bytes.size()));
}

}  // namespace slopewise
