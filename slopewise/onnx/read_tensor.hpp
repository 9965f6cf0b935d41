// The numbers of a tensor in an ONNX file, wherever they lie.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "slopewise/onnx/graph.hpp"

namespace onnx {
class TensorProto;
}

namespace slopewise {

// What a type of the file's, a number of onnx::TensorProto::DataType, is here.
OnnxType onnx_type(std::int64_t type);

class TensorReader {
 public:
  // `file`: as messages name it; `folder`: where external data may lie, none: nowhere.
  TensorReader(std::filesystem::path file, std::optional<std::filesystem::path> folder)
      : file_(std::move(file)), folder_(std::move(folder)) {}

  // Throws FileError, naming file and tensor, for a type that is not supported, for more or fewer numbers than its
  // shape has, and for external data that are not in the folder.
  std::shared_ptr<OnnxTensor> read(const onnx::TensorProto& tensor, const std::string& name) const;

 private:
  [[noreturn]] void fail(const std::string& message) const;
  // The bytes of a tensor that lies in another file, which must be in the folder.
  std::string external_bytes(const onnx::TensorProto& tensor, const std::string& name) const;

  std::filesystem::path file_;
  std::optional<std::filesystem::path> folder_;
};

}  // namespace slopewise
