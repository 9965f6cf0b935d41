// Prints loss and slope of an ONNX model on a batch, along the tangent cos(37 θ + 1), entry by entry: what a peer can
// calculate without knowing how θ is laid out. Usage: onnx_slope MODEL.onnx BATCH.npz float|double LOSS
#include <fmt/format.h>

#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/data/npz.hpp"
#include "slopewise/onnx/loss.hpp"
#include "slopewise/program/runner.hpp"

namespace slopewise {
namespace {

template <class T>
void print(const std::string& model_path, const std::string& batch_path, const std::string& loss) {
  const OnnxModel model = load_onnx(model_path);
  const Program program = onnx_program(model, {onnx_loss(loss)}).program;
  const NpzFile file(batch_path);
  std::vector<std::vector<T>> numbers;
  std::vector<std::vector<std::int32_t>> integers;
  numbers.reserve(program.inputs().size());
  integers.reserve(program.inputs().size());
  Batch<T> batch;
  for (const Index i : program.inputs()) {
    const GraphNode& input = program.node(i);
    const Shape shape = file.shape(input.name);
    batch.rows = shape[0];
    if (input.kind == GraphNode::Kind::kIndices) {
      batch.inputs.emplace_back(
          std::span<const std::int32_t>(integers.emplace_back(file.read<std::int32_t>(input.name, shape))));
    } else {
      batch.inputs.emplace_back(std::span<const T>(numbers.emplace_back(file.read<T>(input.name, shape))));
    }
  }
  const Parameters<T> theta = model.initial<T>();
  std::vector<T> v;
  for (const T value : theta.values()) v.push_back(std::cos(37 * value + 1));
  const auto tangents = Tangents<T>::dense(program.layout(), 1, v);
  Runner<T> runner(program, {.batch = batch.rows, .tangents = 1});
  const RunResult<T> result = runner.run(theta, batch, &tangents);
  std::vector<T> gradient(v.size());
  Runner<T> back(program, {.mode = Workload::Mode::kPullback, .batch = batch.rows});
  back.gradient(theta, batch, gradient);
  double pulled = 0;
  for (std::size_t i = 0; i < v.size(); ++i) pulled += static_cast<double>(gradient[i]) * static_cast<double>(v[i]);
  fmt::print("{} {:.17g} {:.17g} {:.17g}\n", program.size(), result.loss, result.slopes[0], pulled);
}

}  // namespace
}  // namespace slopewise

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  try {
    const std::string precision = argv[3];
    if (precision == "double") {
      slopewise::print<double>(argv[1], argv[2], argv[4]);
    } else {
      slopewise::print<float>(argv[1], argv[2], argv[4]);
    }
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
