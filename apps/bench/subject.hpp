// What is measured: a model by name, with a batch of examples.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "apps/onnx_options.hpp"
#include "slopewise/model/models.hpp"
#include "slopewise/program/pass.hpp"

namespace slopewise {

// A network by name (model/models.hpp), or the ONNX file of one and how it is read.
struct BenchModel {
  std::string name;
  OnnxSettings onnx = {};

  bool is_file() const { return is_onnx(name); }
};

// A program with random inputs and labels; their values change no time. The seed is fixed.
class BenchSubject {
 public:
  // Throws ArgumentError for a name that network_names() lacks, and as open_onnx does.
  static BenchSubject make(const BenchModel& model, Index batch);
  // What touches the same code: a small network of the same kind and one example, or the file's with one.
  static BenchSubject small(const BenchModel& model);

  BenchSubject(BenchSubject&&) = default;

  // "784,1024,1024,10", the widths of the layers, or "cnn,28" with the height and width of its images; of a file its
  // name.
  const std::string& shape() const { return shape_; }
  const Program& program() const { return *chain_.front().program; }
  // The network as one block; and with a loss of its own for each layer, or nothing of a file.
  const std::vector<ChainBlock>& chain() const { return chain_; }
  std::vector<ChainBlock> local_chain() const;
  Index batch_size() const { return batch_; }
  // Valid as long as this object.
  Batch<float> batch() const;
  // θ before the first step: the file's, or drawn from the seed.
  Parameters<float> start() const;
  // Of a file: its model. Null else.
  const OnnxModel* file() const { return file_.get(); }
  // Whether its last blocks alone train: a way back then takes few rows at a time.
  bool few_rows() const { return few_rows_; }
  // The node that the loss is made of.
  Index output() const { return chain_.front().output; }

 private:
  BenchSubject(const NetworkSpec& network, Index side, Index batch);
  BenchSubject(const OnnxNetwork& file, Index batch, bool few_rows);
  void draw_inputs();

  NetworkSpec spec_;  // of a family
  Shape image_;
  std::vector<ChainBlock> chain_;
  std::shared_ptr<const OnnxModel> file_;
  Index batch_;
  bool few_rows_ = false;
  std::string shape_;
  std::vector<std::variant<std::vector<float>, std::vector<std::int32_t>>> inputs_;
};

}  // namespace slopewise
