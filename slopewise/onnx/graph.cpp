#include "slopewise/onnx/graph.hpp"

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

}  // namespace slopewise
