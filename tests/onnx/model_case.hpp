// A test of models in files, and a network that many of them are about.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "slopewise/base/error.hpp"
#include "tests/data/support.hpp"
#include "tests/onnx/models.hpp"

namespace slopewise {

class OnnxModelTest : public FileTest {
 protected:
  std::filesystem::path write(const onnx::ModelProto& model, const std::string& name = "model.onnx") const {
    write_model(model, directory_ / name);
    return directory_ / name;
  }
  // The message that refuses the model; "" where it is taken.
  std::string refusal(const onnx::ModelProto& model, const OnnxOptions& options = {}) const {
    try {
      load_onnx(write(model), options);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
};

inline std::vector<float> counting(Index count, double step = 0.1) {
  std::vector<float> values;
  for (Index i = 0; i < count; ++i) values.push_back(static_cast<float>(std::sin(static_cast<double>(i)) * step * 10));
  return values;
}

inline std::vector<std::string> segments(const OnnxModel& model) {
  std::vector<std::string> names;
  for (const Segment& segment : model.layout().segments) names.push_back(segment.name);
  return names;
}

// Two layers with a normalisation between them.
inline onnx::ModelProto network() {
  onnx::ModelProto model = graph_of(R"(net (float[N, 4] x) => (float[N, 3] y) {
    h = MatMul(x, first)
    a = Add(h, first_bias)
    n = LayerNormalization(a, gain, shift)
    r = Relu(n)
    y = Gemm<transB = 1>(r, head, head_bias)
  })",
                                    17);
  add_weight(model, "first", {4, 5}, counting(20));
  add_weight(model, "first_bias", {5}, counting(5));
  add_weight(model, "gain", {5}, {1, 2, 1, 0.5F, 1});
  add_weight(model, "shift", {5}, counting(5));
  add_weight(model, "head", {3, 5}, counting(15));
  add_weight(model, "head_bias", {3}, counting(3));
  return model;
}

}  // namespace slopewise
