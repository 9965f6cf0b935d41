#include "slopewise/data/tensor_file.hpp"

#include <fmt/format.h>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

std::variant<NpzFile, SafetensorsFile> open_tensors(const std::filesystem::path& path) {
  const InputFile file(path);
  std::vector<std::uint8_t> start(std::min<std::uint64_t>(file.size(), 8));
  file.read(0, start);
  if (start.size() >= 2 && start[0] == 'P' && start[1] == 'K') return NpzFile(path);
  // Eight bytes hold the length of a header, below 2³²; text has no bytes of zero.
  if (start.size() == 8 && start[7] != 0)
    throw FileError(fmt::format("{}: expected an .npz or .safetensors file, found neither", path.string()));
  return SafetensorsFile(path);
}

}  // namespace

TensorFile::TensorFile(const std::filesystem::path& path) : path_(path), file_(open_tensors(path)) {}

std::vector<std::string> TensorFile::names() const {
  return std::visit([](const auto& file) { return file.names(); }, file_);
}

Shape TensorFile::shape(const std::string& name) const {
  return std::visit([&](const auto& file) { return Shape(file.shape(name)); }, file_);
}

template <class T>
std::vector<T> TensorFile::read(const std::string& name, const Shape& expected) const {
  return std::visit([&](const auto& file) { return file.template read<T>(name, expected); }, file_);
}

template std::vector<float> TensorFile::read(const std::string&, const Shape&) const;
template std::vector<double> TensorFile::read(const std::string&, const Shape&) const;

const std::map<std::string, std::string>& TensorFile::metadata() const {
  static const std::map<std::string, std::string> none;
  const auto* safetensors = std::get_if<SafetensorsFile>(&file_);
  return safetensors != nullptr ? safetensors->metadata() : none;
}

}  // namespace slopewise
