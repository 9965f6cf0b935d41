// What Python holds: θ in one of two widths, a loss at it, and what can be asked of both. Estimates, estimators and
// optimizers belong to a model and keep it alive.
//
// Every call takes its arrays while it has Python's lock (GIL), releases the lock, waits for its turn on the model and
// works; so threads may share a model, and a Python function that is the loss takes the lock back for itself.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "python/src/arrays.hpp"
#include "python/src/origin.hpp"
#include "slopewise/estimate/estimator.hpp"
#include "slopewise/model/chain.hpp"
#include "slopewise/onnx/network.hpp"
#include "slopewise/optimize/optimizer.hpp"
#include "slopewise/tensor/products/openblas_share.hpp"

namespace slopewise {

// A segment of θ and what it is to people: `shape` with axes in the order of where it came from; axis j of the segment
// is that order's axis order[j], axes of one entry may be missing.
struct Piece {
  std::string name;
  Index offset = 0;
  Shape segment, shape;
  std::vector<Index> order;
};

// Who works on a model.
class Turn {
 public:
  struct Place {
    std::mutex mutex;
    std::atomic<std::thread::id> owner;
  };
  // Waits. Throws RuntimeError where the calling thread has the turn already: a loss that asks for itself.
  explicit Turn(Place& place);
  ~Turn();
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  Place& place_;
  OpenBlasTurn products_;
};

class PythonModel;

// A gradient estimate with the model whose θ it is added to.
class PythonEstimate {
 public:
  // `asked`: the slopes and losses that it took.
  PythonEstimate(std::shared_ptr<PythonModel> model, GradientEstimate found, Index asked)
      : model_(std::move(model)), found_(std::move(found)), asked_(asked) {}
  const GradientEstimate& found() const { return found_; }
  const std::shared_ptr<PythonModel>& model() const { return model_; }
  Index asked() const { return asked_; }

 private:
  std::shared_ptr<PythonModel> model_;
  GradientEstimate found_;
  Index asked_;
};

// An estimator, or an optimizer, of a model's width.
class AnyEstimator {
 public:
  virtual ~AnyEstimator() = default;
  // `in_place`: the model's θ may be moved for the while (Estimator::estimate_in_place).
  virtual PythonEstimate estimate(const py::object& batch, std::uint32_t step, bool in_place) = 0;
  virtual void learn(const PythonEstimate& estimate, double pace) = 0;
  virtual std::optional<double> rate() const = 0;
  // Forward passes with a tangent, and without, that one estimate takes.
  virtual Index slopes() const = 0;
  virtual Index losses() const = 0;
  // What an estimate at a batch of so many examples needs.
  virtual Demand demand(Index rows) = 0;
};
class AnyOptimizer {
 public:
  virtual ~AnyOptimizer() = default;
  virtual void step(const PythonEstimate& estimate, double rate) = 0;
  // The same for a gradient written out (n).
  virtual void step(const py::object& gradient, double rate) = 0;
  // A step down an estimate at `batch` at the rate that the loss along the step tells (StepRate), times `share`;
  // returns it.
  virtual double step_along(const PythonEstimate& estimate, const py::object& batch, double share) = 0;
  virtual Index steps() const = 0;
};

class PythonModel : public std::enable_shared_from_this<PythonModel> {
 public:
  virtual ~PythonModel() = default;
  virtual const ParameterLayout& layout() const = 0;
  virtual py::dtype dtype() const = 0;
  const std::vector<InputSpec>& inputs() const { return inputs_; }
  const std::vector<Piece>& pieces() const { return pieces_; }
  const std::map<std::string, std::string>& constants() const { return constants_; }

  // Entries [first, first + count) of θ, copied.
  virtual py::array values(Index first, Index count) = 0;
  virtual void set_values(Index first, const py::object& values) = 0;
  // θ += factor g.
  virtual void add(const PythonEstimate& estimate, double factor) = 0;
  virtual void add(const py::object& gradient, double factor) = 0;
  virtual py::array dense(const PythonEstimate& estimate) = 0;

  virtual double loss(const py::object& batch) = 0;
  // The output for each example, (rows, *shape); labels and targets may be left out. Throws ValueError for functions.
  virtual py::array outputs(const py::object& batch) = 0;
  // Loss and ∇ (n).
  virtual std::pair<double, py::array> gradient(const py::object& batch) = 0;
  // Along `tangents` (K, n); with second-order terms where `order` is 2.
  virtual Slopes slopes(const py::object& batch, const py::object& tangents, int order) = 0;
  // Along K tangents of a law, with second-order terms.
  virtual Slopes curvatures(const py::object& batch, const std::string& law, Index count, std::uint64_t seed,
                            std::uint32_t step) = 0;
  // K tangents of a law, (K, n).
  virtual py::array tangents(const std::string& law, Index count, std::uint64_t seed, std::uint32_t step, Index rank,
                             Index hold) = 0;
  virtual std::unique_ptr<AnyEstimator> estimator(const std::string& name, const EstimatorOptions& options) = 0;
  virtual std::unique_ptr<AnyOptimizer> optimizer(const std::string& name, const OptimizerOptions& options) = 0;
  // The model as a network to train, from θ as it is, in float; without what starts from other weights where θ is not
  // as the model was made. Throws ValueError for functions.
  struct Trainable {
    Dataset like;  // of no examples: what it reads and answers
    Network network;
    std::optional<Network> local;  // this and the next as AuditTask has them
    std::vector<NetworkTop> tops;
  };
  // `with_parts`: with `local` and `tops`.
  virtual Trainable trainable(bool with_parts) = 0;
  // Writes the ONNX file it came from, with θ as it is. Throws ValueError for a model that came from elsewhere.
  virtual void save(const std::filesystem::path& path) = 0;

  Turn::Place& place() { return place_; }

 protected:
  std::vector<InputSpec> inputs_;
  std::vector<Piece> pieces_;
  std::map<std::string, std::string> constants_;
  Turn::Place place_;
};

// `single`: θ in float, else in double.
std::shared_ptr<PythonModel> onnx_subject(OnnxModel model, const OnnxOptions& options, const OnnxLossOptions& loss,
                                          std::uint64_t seed, bool single);
std::shared_ptr<PythonModel> network_subject(const NetworkSpec& spec, const Shape& image, NetworkTarget target,
                                             std::uint64_t seed, bool single);
// f(θ) by its values alone, in double; slopes are central differences of step `epsilon`. `vectorised`: f takes points
// (m, n) and returns m values.
std::shared_ptr<PythonModel> function_subject(py::function function, const py::object& theta, bool vectorised,
                                              double epsilon);
// K tangents of a law over matrices and vectors of these shapes, one after another, (K, n) in float or double: the
// draws of a model whose parameters have these shapes and no bias that shares a matrix's tangent.
py::array tangents_of(const std::vector<std::vector<Index>>& shapes, const std::string& law, Index count,
                      std::uint64_t seed, std::uint32_t step, bool single);
// What K slopes along such tangents say.
NoiseEstimate noise_of(const std::vector<std::vector<Index>>& shapes, const std::string& law,
                       const std::vector<double>& slopes);

}  // namespace slopewise
