// What is measured: a model by name, with a batch of examples.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "slopewise/model/models.hpp"
#include "slopewise/program/pass.hpp"

namespace slopewise {

// A program with random images and labels; their values change no time. The seed is fixed.
class BenchSubject {
 public:
  // Throws ArgumentError for a name that network_names() lacks (model/models.hpp).
  BenchSubject(std::string_view model, Index batch);
  // A small network of the same kind and one example, which touches the same code.
  static BenchSubject small(std::string_view model);

  BenchSubject(BenchSubject&&) = default;

  // "784,1024,1024,10", the widths of the layers, or "cnn,28" with the height and width of its images.
  const std::string& shape() const { return shape_; }
  const Program& program() const { return model_.program; }
  const ActivitySites& sites() const { return model_.sites; }
  // What the network is made of, its images and classes: for the same network in blocks.
  const NetworkSpec& network() const { return network_; }
  const Shape& image() const { return image_; }
  Index batch_size() const { return static_cast<Index>(labels_.size()); }
  // Valid as long as this object.
  Batch<float> batch() const;

 private:
  BenchSubject(const NetworkSpec& network, Index side, Index batch);

  NetworkSpec network_;
  Shape image_;
  Model model_;
  std::string shape_;
  std::vector<float> images_;
  std::vector<std::int32_t> labels_;
};

}  // namespace slopewise
