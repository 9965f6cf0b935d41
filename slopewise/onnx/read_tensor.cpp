#include "slopewise/onnx/read_tensor.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "slopewise/base/error.hpp"
#include "slopewise/base/input_file.hpp"

namespace slopewise {
namespace {

float half_to_float(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const float sign = (bits & 0x8000) != 0 ? -1.0F : 1.0F;
  if (exponent == 31) return fraction == 0 ? sign * std::numeric_limits<float>::infinity() : std::nanf("");
  return sign * (exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                               : std::ldexp(static_cast<float>(1024 + fraction), exponent - 25));
}
float bfloat16_to_float(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

}  // namespace

OnnxType onnx_type(std::int64_t type) {
  switch (type) {
    case onnx::TensorProto::FLOAT:
      return OnnxType::kFloat;
    case onnx::TensorProto::DOUBLE:
      return OnnxType::kDouble;
    case onnx::TensorProto::FLOAT16:
      return OnnxType::kHalf;
    case onnx::TensorProto::BFLOAT16:
      return OnnxType::kBfloat16;
    case onnx::TensorProto::BOOL:
      return OnnxType::kBoolean;
    case onnx::TensorProto::INT8:
    case onnx::TensorProto::INT16:
    case onnx::TensorProto::INT32:
    case onnx::TensorProto::INT64:
    case onnx::TensorProto::UINT8:
    case onnx::TensorProto::UINT16:
    case onnx::TensorProto::UINT32:
    case onnx::TensorProto::UINT64:
      return OnnxType::kInteger;
    default:
      return OnnxType::kOther;
  }
}

void TensorReader::fail(const std::string& message) const {
  throw FileError(fmt::format("{}: {}", file_.string(), message));
}

std::shared_ptr<OnnxTensor> TensorReader::read(const onnx::TensorProto& tensor, const std::string& name) const {
  auto made = std::make_shared<OnnxTensor>();
  made->type = onnx_type(tensor.data_type());
  Index size = 1;
  for (const std::int64_t extent : tensor.dims()) {
    if (extent < 0 || __builtin_mul_overflow(size, extent, &size))
      fail(fmt::format("tensor '{}': shape ({}) has no size", name, fmt::join(tensor.dims(), ", ")));
    made->dims.push_back(extent);
  }
  if (made->type == OnnxType::kOther) {
    fail(
        fmt::format("tensor '{}': type {} is not supported; numbers and Booleans are", name,
                    onnx::TensorProto::DataType_IsValid(tensor.data_type())
                        ? onnx::TensorProto::DataType_Name(static_cast<onnx::TensorProto::DataType>(tensor.data_type()))
                        : std::to_string(tensor.data_type())));
  }
  const std::string external = external_bytes(tensor, name);
  const bool outside = tensor.data_location() == onnx::TensorProto::EXTERNAL;
  std::string location;
  for (const onnx::StringStringEntryProto& entry : tensor.external_data()) {
    if (outside && entry.key() == "location") location = fmt::format(" in '{}'", entry.value());
  }
  const std::string& raw = outside ? external : tensor.raw_data();
  const auto take = [&](auto like, const auto& typed) {
    using Stored = decltype(like);
    std::vector<Stored> values;
    if (outside || tensor.has_raw_data()) {
      if (raw.size() != static_cast<std::uint64_t>(size) * sizeof(Stored) ||
          static_cast<std::uint64_t>(size) > raw.size()) {
        fail(fmt::format("tensor '{}'{}: shape ({}) wants {} numbers of {} bytes, found {} bytes", name, location,
                         fmt::join(tensor.dims(), ", "), size, sizeof(Stored), raw.size()));
      }
      values.resize(static_cast<std::size_t>(size));
      if (size > 0) std::memcpy(values.data(), raw.data(), raw.size());
    } else {
      if (typed.size() != size) {
        fail(fmt::format("tensor '{}': shape ({}) wants {} numbers, found {}", name, fmt::join(tensor.dims(), ", "),
                         size, typed.size()));
      }
      values.reserve(static_cast<std::size_t>(size));
      for (const auto value : typed) values.push_back(static_cast<Stored>(value));
    }
    return values;
  };
  const auto integers = [&](auto like) {
    const auto values = take(like, tensor.int32_data());
    made->numbers = std::vector<std::int64_t>(values.begin(), values.end());
  };
  const auto halves = [&](float (*widen)(std::uint16_t)) {
    const auto bits = take(std::uint16_t{}, tensor.int32_data());
    std::vector<float> values;
    values.reserve(bits.size());
    for (const std::uint16_t each : bits) values.push_back(widen(each));
    made->numbers = std::move(values);
  };
  switch (tensor.data_type()) {
    case onnx::TensorProto::FLOAT:
      made->numbers = take(float{}, tensor.float_data());
      break;
    case onnx::TensorProto::DOUBLE:
      made->numbers = take(double{}, tensor.double_data());
      break;
    case onnx::TensorProto::FLOAT16:
      halves(half_to_float);
      break;
    case onnx::TensorProto::BFLOAT16:
      halves(bfloat16_to_float);
      break;
    case onnx::TensorProto::INT64:
      made->numbers = take(std::int64_t{}, tensor.int64_data());
      break;
    case onnx::TensorProto::UINT64:
    case onnx::TensorProto::UINT32: {
      const bool wide = tensor.data_type() == onnx::TensorProto::UINT64;
      std::vector<std::int64_t> values;
      if (wide) {
        for (const std::uint64_t value : take(std::uint64_t{}, tensor.uint64_data())) {
          values.push_back(static_cast<std::int64_t>(
              std::min<std::uint64_t>(value, static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))));
        }
      } else {
        for (const std::uint32_t value : take(std::uint32_t{}, tensor.uint64_data())) values.push_back(value);
      }
      made->numbers = std::move(values);
      break;
    }
    case onnx::TensorProto::INT32:
      integers(std::int32_t{});
      break;
    case onnx::TensorProto::INT16:
      integers(std::int16_t{});
      break;
    case onnx::TensorProto::INT8:
      integers(std::int8_t{});
      break;
    case onnx::TensorProto::UINT16:
      integers(std::uint16_t{});
      break;
    default:  // UINT8, BOOL
      integers(std::uint8_t{});
      break;
  }
  return made;
}

std::string TensorReader::external_bytes(const onnx::TensorProto& tensor, const std::string& name) const {
  if (tensor.data_location() != onnx::TensorProto::EXTERNAL) return {};
  if (!folder_) fail(fmt::format("tensor '{}': its data lie in another file, and a model in memory has none", name));
  std::string location;
  std::uint64_t offset = 0, length = 0;
  bool whole = true;
  const auto number = [&](const std::string& text) {
    std::size_t used = 0;
    std::uint64_t value = 0;
    try {
      value = std::stoull(text, &used);
    } catch (const std::exception&) {
      used = 0;
    }
    if (used == 0 || used != text.size() || text[0] == '-')
      fail(fmt::format("tensor '{}': '{}' is no offset or length of external data", name, text));
    return value;
  };
  for (const onnx::StringStringEntryProto& entry : tensor.external_data()) {
    if (entry.key() == "location") location = entry.value();
    if (entry.key() == "offset") offset = number(entry.value());
    if (entry.key() == "length") {
      length = number(entry.value());
      whole = false;
    }
  }
  const std::filesystem::path relative = std::filesystem::path(location).lexically_normal();
  const std::filesystem::path path = std::filesystem::weakly_canonical(*folder_ / relative);
  const auto [end, rest] = std::mismatch(folder_->begin(), folder_->end(), path.begin(), path.end());
  if (location.empty() || relative.is_absolute() || end != folder_->end()) {
    fail(fmt::format("tensor '{}': its data are said to be in '{}', expected a file in the model's own folder", name,
                     location));
  }
  const InputFile outside(path);
  const std::uint64_t size = outside.size();
  if (offset > size)
    fail(fmt::format("tensor '{}': '{}' has {} bytes, its data start at {}", name, path.string(), size, offset));
  if (whole) length = size - offset;
  if (length > size - offset) {
    fail(fmt::format("tensor '{}': '{}' has {} bytes, its data are {} bytes from {} on", name, path.string(), size,
                     length, offset));
  }
  std::string bytes(length, '\0');
  outside.read(offset, {reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
  return bytes;
}

}  // namespace slopewise
