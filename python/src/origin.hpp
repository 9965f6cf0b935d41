// Where a model's program comes from, for what makes it again as a network to train.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "slopewise/data/dataset.hpp"
#include "slopewise/model/network.hpp"
#include "slopewise/onnx/network.hpp"

namespace slopewise {

class Origin {
 public:
  virtual ~Origin() = default;
  // End to end, at its first θ.
  virtual Network network() const = 0;
  // As AuditTask has them.
  virtual std::optional<Network> local() const = 0;
  virtual std::vector<NetworkTop> tops() const = 0;
  // What it reads and answers: a set of no examples.
  virtual Dataset data() const = 0;
  // The file that it came from; null for others.
  virtual const OnnxModel* file() const { return nullptr; }
};

std::shared_ptr<const Origin> origin_of(std::shared_ptr<const OnnxModel> model, const OnnxOptions& options,
                                        const OnnxLossOptions& loss);
std::shared_ptr<const Origin> origin_of(const NetworkSpec& spec, const Shape& image, NetworkTarget target);

}  // namespace slopewise
