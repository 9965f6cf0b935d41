// The safetensors format (github.com/huggingface/safetensors): eight bytes that hold the length of a JSON header, the
// header, which names the tensors, and their entries end to end, little-endian and row-major.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "slopewise/base/shape.hpp"
#include "slopewise/data/rows.hpp"

namespace slopewise {

// A tensor to write: `values` stay where they are.
struct SafetensorView {
  std::string name;
  Shape shape;
  std::variant<std::span<const float>, std::span<const double>, std::span<const std::int64_t>> values;
};

// Writes a file of tensors and of strings by name, as F32, F64 and I64. Those of eight bytes an entry come first, then
// by name, so that all are aligned to their entries and equal content makes equal files, whatever the order given.
// Throws ShapeError if the number of a tensor's values is not shape.size(), ArgumentError if a name is taken, is
// "__metadata__" or is not UTF-8, FileError if the file cannot be written; then what was there before still is.
void save_safetensors(const std::filesystem::path& path, std::span<const SafetensorView> tensors,
                      const std::map<std::string, std::string>& metadata = {});

// A file of tensors, each read when asked for. What the header claims is believed only where the file bears it out, and
// memory is bounded by what is on the disk: a tensor takes at most eight bytes for each of its own.
class SafetensorsFile {
 public:
  // Reads the header. Throws FileError if the file cannot be read, the header is not what the format demands, names or
  // fields come twice, an entry type is none of the above, or the tensors do not fill the rest of the file end to end.
  explicit SafetensorsFile(const std::filesystem::path& path);

  // What the header has under "__metadata__".
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  // Sorted.
  std::vector<std::string> names() const;
  bool contains(const std::string& name) const { return tensors_.contains(name); }
  // Throws FileError if there is no such tensor.
  const Shape& shape(const std::string& name) const { return find(name).shape; }
  NumberType type(const std::string& name) const { return find(name).type; }

  // The entries, row-major, for T in {float, double, int64}. Takes only types of which T holds every value: nothing is
  // ever rounded. A bool is 0 or 1. Throws FileError otherwise, if there is no such tensor, or if its shape is not
  // `expected`.
  template <class T>
  std::vector<T> read(const std::string& name, const Shape& expected) const;
  // A tensor as read_array has it. Throws FileError as that does, or if there is no such tensor.
  Array array(const std::string& name) const;

 private:
  struct Tensor {
    NumberType type;
    Shape shape;
    std::uint64_t offset;  // from the file's start
  };
  const Tensor& find(const std::string& name) const;

  std::shared_ptr<const InputFile> file_;
  std::map<std::string, std::string> metadata_;
  std::map<std::string, Tensor> tensors_;
};

}  // namespace slopewise
