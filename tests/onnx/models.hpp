// ONNX models for tests: from a text in ONNX's own notation, and what a program makes of one.
#pragma once

#include <onnx/defs/parser.h>
#include <onnx/onnx_pb.h>

#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "slopewise/onnx/model.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/runner.hpp"
#include "tests/support.hpp"

namespace slopewise {

// Parses "<ir_version: 7, opset_import: [\"\" : 13]> g (float[N, 3] x) => (float[N, 3] y) { y = Abs(x) }".
inline onnx::ModelProto model_of(const std::string& text) {
  onnx::ModelProto model;
  const auto status = onnx::OnnxParser(text.c_str()).Parse(model);
  if (!status.IsOK()) throw std::runtime_error(status.ErrorMessage());
  return model;
}
// The same of a graph in operator set `opset`.
inline onnx::ModelProto graph_of(const std::string& graph, int opset = 13) {
  return model_of("<ir_version: 8, opset_import: [\"\" : " + std::to_string(opset) + "]> " + graph);
}

inline void add_weight(onnx::ModelProto& model, const std::string& name, const std::vector<Index>& dims,
                       const std::vector<float>& values) {
  onnx::TensorProto& tensor = *model.mutable_graph()->add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(onnx::TensorProto::FLOAT);
  for (const Index extent : dims) tensor.add_dims(extent);
  tensor.set_raw_data(values.data(), values.size() * sizeof(float));
}

inline void write_model(const onnx::ModelProto& model, const std::filesystem::path& path) {
  std::ofstream file(path, std::ios::binary);
  if (!model.SerializeToOstream(&file)) throw std::runtime_error("could not write " + path.string());
}

// The model's output for a batch, (rows, entries of one example).
template <class T>
std::vector<T> output_of(const OnnxModel& model, const Parameters<T>& theta, Batch<T> batch) {
  // An output may be the same for all examples; what is added depends on each.
  const Node made(std::make_shared<Graph>(*model.output().graph()), model.output().number());
  const Node output = add(made, Builder(made).input("nothing", {}));
  const Node flat = flatten(output);
  const std::vector<T> zeros(static_cast<std::size_t>(batch.rows));
  batch.inputs.emplace_back(std::span<const T>(zeros));
  const Program program(sum(flat));
  Runner<T> runner(program, {.batch = batch.rows, .outputs = {output.number()}});
  runner.run(theta, batch);
  const auto values = runner.output(0);
  return {values.begin(), values.end()};
}

}  // namespace slopewise
