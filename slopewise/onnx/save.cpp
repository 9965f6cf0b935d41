// Trained weights back into their file: the bytes of initializers are changed where they lie, and no others.
#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>

#include "slopewise/base/atomic_file.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/onnx/model.hpp"
#include "slopewise/tensor/matmul.hpp"

namespace slopewise {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

// Where an initializer's numbers lie in the file.
struct Place {
  int type = 0;
  bool elsewhere = false;              // in a file beside it
  std::size_t offset = 0, length = 0;  // 0: not as bytes in one piece
};

// Calls field(number, start, length) for each length-delimited field of the message in [begin, end), and
// number(field, value) for each varint.
template <class Field, class Varint>
void visit_message(std::span<const std::uint8_t> bytes, std::size_t begin, std::size_t end, Field field,
                   Varint varint) {
  CodedInputStream stream(bytes.data() + begin, static_cast<int>(end - begin));
  stream.SetTotalBytesLimit(std::numeric_limits<int>::max());
  while (const std::uint32_t tag = stream.ReadTag()) {
    const int number = WireFormatLite::GetTagFieldNumber(tag);
    if (WireFormatLite::GetTagWireType(tag) == WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
      std::uint32_t length = 0;
      if (!stream.ReadVarint32(&length)) return;
      const std::size_t start = begin + static_cast<std::size_t>(stream.CurrentPosition());
      if (length > end - start || !stream.Skip(static_cast<int>(length))) return;
      field(number, start, static_cast<std::size_t>(length));
    } else if (WireFormatLite::GetTagWireType(tag) == WireFormatLite::WIRETYPE_VARINT) {
      std::uint64_t value = 0;
      if (!stream.ReadVarint64(&value)) return;
      varint(number, value);
    } else if (!WireFormatLite::SkipField(&stream, tag)) {
      return;
    }
  }
}

std::map<std::string, Place> initializers_of(std::span<const std::uint8_t> bytes) {
  std::map<std::string, Place> places;
  const auto ignore = [](int, std::uint64_t) {};
  const auto tensor = [&](std::size_t start, std::size_t length) {
    std::string name;
    Place place;
    visit_message(
        bytes, start, start + length,
        [&](int number, std::size_t at, std::size_t size) {
          if (number == onnx::TensorProto::kNameFieldNumber)
            name.assign(reinterpret_cast<const char*>(bytes.data()) + at, size);
          if (number == onnx::TensorProto::kRawDataFieldNumber || number == onnx::TensorProto::kFloatDataFieldNumber ||
              number == onnx::TensorProto::kDoubleDataFieldNumber) {
            place.offset = at;
            place.length = size;
          }
        },
        [&](int number, std::uint64_t value) {
          if (number == onnx::TensorProto::kDataTypeFieldNumber) place.type = static_cast<int>(value);
          if (number == onnx::TensorProto::kDataLocationFieldNumber)
            place.elsewhere = value == onnx::TensorProto::EXTERNAL;
        });
    places[name] = place;
  };
  visit_message(
      bytes, 0, bytes.size(),
      [&](int number, std::size_t start, std::size_t length) {
        if (number != onnx::ModelProto::kGraphFieldNumber) return;
        visit_message(
            bytes, start, start + length,
            [&](int inner, std::size_t at, std::size_t size) {
              if (inner == onnx::GraphProto::kInitializerFieldNumber) tensor(at, size);
            },
            ignore);
      },
      ignore);
  return places;
}

// Rounded to nearest, ties to even; what is too large becomes an infinity.
std::uint16_t half_of(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000U);
  const float size = std::fabs(value);
  if (std::isnan(value)) return static_cast<std::uint16_t>(sign | 0x7e00U);
  if (size >= 65520.0F) return static_cast<std::uint16_t>(sign | 0x7c00U);
  if (size < 0x1p-14F)
    return static_cast<std::uint16_t>(sign | static_cast<std::uint16_t>(std::nearbyint(size * 0x1p24F)));
  int exponent = 0;
  const float fraction = std::frexp(size, &exponent);  // in [1/2, 1)
  const auto digits = static_cast<std::uint32_t>(std::nearbyint(std::ldexp(fraction, 11)));
  return static_cast<std::uint16_t>(sign | ((static_cast<std::uint32_t>(exponent + 13) << 10) + digits));
}
std::uint16_t bfloat16_of(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) return static_cast<std::uint16_t>(bits >> 16 | 64U);
  return static_cast<std::uint16_t>((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16);
}

template <class Stored>
void put(std::vector<std::uint8_t>& bytes, const Place& place, std::size_t i, Stored value) {
  std::memcpy(bytes.data() + place.offset + i * sizeof(Stored), &value, sizeof(Stored));
}

std::size_t width_of(const Place& place) {
  return place.type == onnx::TensorProto::DOUBLE ? 8 : place.type == onnx::TensorProto::FLOAT ? 4 : 2;
}

std::size_t readers_of(const OnnxGraph& graph, const std::string& name) {
  std::size_t readers = 0;
  for (const OnnxNode& node : graph.nodes) {
    const auto times = static_cast<std::size_t>(std::ranges::count(node.inputs, name));
    readers += node.is("If") ? 2 * times : times;  // within a branch perhaps more than once
  }
  return readers;
}

std::string why_not_saved(const OnnxModel& model, const std::map<std::string, Place>& places) {
  for (const auto& [name, place] : places) {
    if (place.elsewhere) return fmt::format("'{}' lies in a file beside it", name);
  }
  for (const OnnxParameter& parameter : model.parameters()) {
    if (parameter.is_adapter() && readers_of(model.graph(), parameter.initializer) > 1)
      return fmt::format("'{}' is added to a matrix that is read elsewhere too", parameter.segment);
    const auto found = places.find(parameter.initializer);
    const auto entries = static_cast<std::size_t>(parameter.tensor->size());
    if (found == places.end() || found->second.length != entries * width_of(found->second))
      return fmt::format("the numbers of '{}' do not lie in the file as bytes in one piece", parameter.segment);
  }
  return "";
}

// B A, (units, inputs), of adapters B (units, rank) and A (rank, inputs).
std::vector<float> product_of(const Parameters<float>& theta, const Segment& b, const Segment& a) {
  const Index units = b.shape[0], rank = b.shape[1], inputs = a.shape[1];
  std::vector<float> made(static_cast<std::size_t>(units * inputs));
  matmul<float>(units, inputs, rank, 1, {theta.values(b.offset, b.size()).data(), rank},
                {theta.values(a.offset, a.size()).data(), inputs}, 0, made.data(), inputs);
  return made;
}

}  // namespace

std::vector<std::uint8_t> OnnxModel::bytes() const {
  if (!bytes_.empty()) return bytes_;
  std::vector<std::uint8_t> bytes = read_bytes(file());
  if (checksum_of(bytes) != checksum_)
    throw FileError(fmt::format("{}: has changed since it was loaded", file().string()));
  return bytes;
}

std::string why_not_saved(const OnnxModel& model) {
  return why_not_saved(model, initializers_of(model.bytes()));
}

void save_onnx(const OnnxModel& model, const Parameters<float>& theta, const std::filesystem::path& path) {
  if (theta.size() != model.layout().size)
    throw ShapeError(fmt::format("save: the model has {} parameters, found {}", model.layout().size, theta.size()));
  std::vector<std::uint8_t> bytes = model.bytes();
  const std::map<std::string, Place> places = initializers_of(bytes);
  if (const std::string why = why_not_saved(model, places); !why.empty())
    throw FileError(fmt::format("{}: weights cannot be put back: {}", model.file().string(), why));
  for (std::size_t i = 0; i < model.parameters().size(); ++i) {
    const OnnxParameter& parameter = model.parameters()[i];
    const Segment& segment = model.layout().segments[i];
    const Place place = places.at(parameter.initializer);
    const std::vector<float> before = parameter.tensor->as<float>();
    // Axis order[j] of the initializer is axis j of the segment: the way back is the inverse order.
    std::vector<Index> inverse(parameter.order.size());
    std::iota(inverse.begin(), inverse.end(), 0);
    std::sort(inverse.begin(), inverse.end(),
              [&](Index a, Index b) { return parameter.order[number_of(a)] < parameter.order[number_of(b)]; });
    if (parameter.role == Role::kAdapterOut) continue;  // with its A
    std::vector<float> after = before;
    if (parameter.role == Role::kAdapterIn) {
      const Segment& out = model.layout().segments[i + 1];
      const std::vector<float> added =
          permuted(product_of(theta, out, segment), {out.shape[0], segment.shape[1]}, inverse);
      for (std::size_t entry = 0; entry < after.size(); ++entry)
        after[entry] += static_cast<float>(parameter.scale) * added[entry];
    } else {
      const auto own = theta.values(segment.offset, segment.size());
      after = permuted(std::vector<float>(own.begin(), own.end()), segment.shape.extents(), inverse);
    }
    for (std::size_t entry = 0; entry < after.size(); ++entry) {
      if (after[entry] == before[entry]) continue;
      switch (place.type) {
        case onnx::TensorProto::FLOAT:
          put(bytes, place, entry, after[entry]);
          break;
        case onnx::TensorProto::DOUBLE:
          put(bytes, place, entry, static_cast<double>(after[entry]));
          break;
        case onnx::TensorProto::FLOAT16:
          put(bytes, place, entry, half_of(after[entry]));
          break;
        default:
          put(bytes, place, entry, bfloat16_of(after[entry]));
          break;
      }
    }
  }
  AtomicFile file(path);
  file.write(bytes.data(), bytes.size());
  file.commit();
}

}  // namespace slopewise
