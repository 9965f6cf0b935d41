// Named tensors in a file, .safetensors or .npz by its content.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "slopewise/data/npz.hpp"
#include "slopewise/data/safetensors.hpp"

namespace slopewise {

class TensorFile {
 public:
  // Reads what the file says it holds. Throws FileError as NpzFile or SafetensorsFile does, and for what is
  // neither.
  explicit TensorFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  // Sorted.
  std::vector<std::string> names() const;
  // Throws FileError if there is no such tensor.
  Shape shape(const std::string& name) const;
  // The entries, row-major, for T in {float, double}, as either class reads them. Throws FileError if there is no such
  // tensor, or its shape is not `expected`.
  template <class T>
  std::vector<T> read(const std::string& name, const Shape& expected) const;
  // Strings by name, of which an .npz file has none.
  const std::map<std::string, std::string>& metadata() const;

 private:
  std::filesystem::path path_;
  std::variant<NpzFile, SafetensorsFile> file_;
};

}  // namespace slopewise
