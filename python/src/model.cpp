#include "python/src/model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <type_traits>

#include "python/src/function.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/estimate/curvature.hpp"
#include "slopewise/model/initialize.hpp"
#include "slopewise/model/models.hpp"
#include "slopewise/objective/program_objective.hpp"
#include "slopewise/optimize/step_rate.hpp"
#include "slopewise/probe/probe.hpp"

namespace slopewise {

Turn::Turn(Place& place) : place_(place) {
  if (place.owner == std::this_thread::get_id()) {
    throw std::runtime_error("this model is at work: the function that is its loss asked it for something");
  }
  place.mutex.lock();
  place.owner = std::this_thread::get_id();
}
Turn::~Turn() {
  place_.owner = std::thread::id();
  place_.mutex.unlock();
}

namespace {

// Where a program's loss comes from.
struct Source {
  std::shared_ptr<const Program> program;
  ActivitySites sites;
  Index output;
  std::shared_ptr<const Origin> origin;
};

template <class T>
class ModelOf final : public PythonModel {
 public:
  ModelOf(Source source, std::function<Parameters<T>()> initial)
      : source_(std::move(source)),
        objective_(std::make_unique<ProgramObjective<T>>(*source_->program, Batch<T>{})),
        initial_(std::move(initial)),
        theta_(initial_()) {
    const Program& program = *source_->program;
    for (const Index i : program.inputs()) {
      const GraphNode& node = program.node(i);
      inputs_.push_back({node.name, node.shape, node.kind == GraphNode::Kind::kIndices});
      if (node.name == "label" || node.name == "target") required_ = inputs_.size() - 1;
    }
    name_pieces();
    const OnnxModel* const file = source_->origin->file();
    if (!file) return;
    constants_ = file->constants();
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
      const OnnxParameter& parameter = file->parameters()[i];
      if (!parameter.tensor) continue;
      pieces_[i].shape = Shape(parameter.tensor->dims);
      pieces_[i].order = parameter.order;
    }
  }
  ModelOf(std::unique_ptr<Objective<T>> objective, Parameters<T> theta)
      : objective_(std::move(objective)), theta_(std::move(theta)) {
    name_pieces();
  }

  const ParameterLayout& layout() const override { return objective_->layout(); }
  py::dtype dtype() const override { return py::dtype::of<T>(); }

  py::array values(Index first, Index count) override {
    require_entries(first, count);
    py::array_t<T> values(count);
    const std::span<T> out(values.mutable_data(), static_cast<std::size_t>(values.size()));
    work([&] { std::ranges::copy(theta_.values(first, count), out.begin()); });
    return values;
  }
  void set_values(Index first, const py::object& values) override {
    const py::array_t<T> given = array_of<T>(values, "parameters");
    require_entries(first, given.size());
    work([&] { std::ranges::copy(span_of(given), theta_.edit(first, given.size()).begin()); });
  }
  void add(const PythonEstimate& estimate, double factor) override {
    work([&] { estimate.found().add_to(theta_, factor); });
  }
  void add(const py::object& gradient, double factor) override {
    const DenseGradient<T> dense = dense_of(gradient);
    work([&] { dense.add_to(theta_, factor); });
  }
  py::array dense(const PythonEstimate& estimate) override {
    py::array_t<T> values(layout().size);
    const std::span<T> out(values.mutable_data(), static_cast<std::size_t>(values.size()));
    work([&] { estimate.found().materialize(out); });
    return values;
  }

  double loss(const py::object& batch) override {
    return at(batch, [&] { return objective_->loss(theta_); });
  }
  py::array outputs(const py::object& batch) override {
    if (!source_) throw py::value_error("outputs: expected a network; a function has its loss alone");
    const Program& program = *source_->program;
    const Examples<T> examples(inputs_, batch, required_);
    std::vector<Index> shape{examples.batch().rows};
    const Shape& own = program.node(source_->output).shape;
    shape.insert(shape.end(), own.begin(), own.end());
    py::array_t<T> values(shape);
    const std::span<T> out(values.mutable_data(), static_cast<std::size_t>(values.size()));
    work([&] {
      if (!outputs_) outputs_.emplace(program, ForwardOptions{.outputs = {source_->output}});
      outputs_->run(theta_, examples.batch());
      std::ranges::copy(outputs_->output(0).first(out.size()), out.begin());
    });
    return values;
  }
  std::pair<double, py::array> gradient(const py::object& batch) override {
    py::array_t<T> values(layout().size);
    const std::span<T> out(values.mutable_data(), static_cast<std::size_t>(values.size()));
    const double loss = at(batch, [&] { return objective_->gradient(theta_, out); });
    return {loss, std::move(values)};
  }
  Slopes slopes(const py::object& batch, const py::object& tangents, int order) override {
    const py::array_t<T> given = array_of<T>(tangents, "tangents");
    if (given.ndim() != 2 || given.shape(1) != layout().size || given.shape(0) == 0) {
      throw py::value_error(
          fmt::format("tangents: expected the shape (K, {}), found {}", layout().size, shape_text(given)));
    }
    return at(batch, [&] { return along(Tangents<T>::dense(layout(), given.shape(0), span_of(given)), order); });
  }
  Slopes curvatures(const py::object& batch, const std::string& law, Index count, std::uint64_t seed,
                    std::uint32_t step) override {
    return at(batch, [&] {
      const auto probe = make_probe(law, layout(), seed);
      const auto draw = probe->draw(step, count);
      Tangents<T> tangents(layout(), count, probe->forms());
      draw->write(tangents);
      return along(tangents, 2);
    });
  }
  py::array tangents(const std::string& law, Index count, std::uint64_t seed, std::uint32_t step, Index rank,
                     Index hold) override;
  std::unique_ptr<AnyEstimator> estimator(const std::string& name, const EstimatorOptions& options) override;
  std::unique_ptr<AnyOptimizer> optimizer(const std::string& name, const OptimizerOptions& options) override;

  void save(const std::filesystem::path& path) override {
    const OnnxModel* const file = source_ ? source_->origin->file() : nullptr;
    if (!file) throw py::value_error("save: expected a model that came from an ONNX file");
    work([&] {
      if constexpr (std::is_same_v<T, float>) {
        save_onnx(*file, theta_, path);
      } else {
        save_onnx(*file, Parameters<float>({theta_.values().begin(), theta_.values().end()}), path);
      }
    });
  }

  Trainable trainable(bool with_parts) override {
    if (!source_) throw py::value_error("expected a network; a function has no examples");
    return work([&] {
      const Origin& origin = *source_->origin;
      Trainable made{.like = origin.data(), .network = origin.network(), .local = {}, .tops = {}};
      const std::span<const T> values = theta_.values();
      const bool as_made = std::ranges::equal(values, initial_().values());
      made.network.initial = [theta = std::vector<float>(values.begin(), values.end())](std::size_t, std::uint64_t) {
        return Parameters<float>(theta);
      };
      if (as_made && with_parts) {
        made.local = origin.local();
        made.tops = origin.tops();
      }
      return made;
    });
  }

  // Calls body() with the objective on this batch, in turn and without Python's lock.
  template <class Body>
  auto at(const py::object& batch, Body body) {
    if (!source_ && !batch.is_none()) throw py::value_error("batch: a function has none; expected None");
    std::optional<Examples<T>> examples;
    if (source_) examples.emplace(inputs_, batch, inputs_.size());
    return work([&] {
      if (examples) bind(examples->batch());
      return body();
    });
  }
  template <class Body>
  auto work(Body body) {
    const py::gil_scoped_release release;
    const Turn turn(place_);
    return body();
  }
  py::array_t<T> vector_of(const py::object& values, std::string_view what) const {
    const py::array_t<T> given = array_of<T>(values, what);
    if (given.ndim() != 1 || given.size() != layout().size)
      throw py::value_error(
          fmt::format("{}: expected the shape ({},), found {}", what, layout().size, shape_text(given)));
    return given;
  }
  DenseGradient<T> dense_of(const py::object& gradient) const {
    const py::array_t<T> given = vector_of(gradient, "gradient");
    return DenseGradient<T>(std::vector<T>(given.data(), given.data() + given.size()));
  }
  Objective<T>& objective() { return *objective_; }
  Parameters<T>& parameters() { return theta_; }
  void bind(Batch<T> batch) { dynamic_cast<ProgramObjective<T>&>(*objective_).bind(std::move(batch)); }

 private:
  void name_pieces() {
    for (const Segment& segment : layout().segments) {
      std::vector<Index> order(static_cast<std::size_t>(segment.shape.rank()));
      std::iota(order.begin(), order.end(), 0);
      pieces_.push_back({segment.name, segment.offset, segment.shape, segment.shape, std::move(order)});
    }
  }
  void require_entries(Index first, Index count) const {
    if (first < 0 || count < 0 || first > layout().size - count)
      throw py::value_error(
          fmt::format("parameters: expected entries of {}, found {} from {} on", layout().size, count, first));
  }
  Slopes along(const Tangents<T>& tangents, int order) {
    return order == 2 ? objective_->curvatures(theta_, tangents) : objective_->slopes(theta_, tangents);
  }

  std::optional<Source> source_;
  std::unique_ptr<Objective<T>> objective_;
  std::function<Parameters<T>()> initial_;  // of a network: θ as it was made
  Parameters<T> theta_;
  std::size_t required_ = 0;  // inputs before the label or target
  std::optional<ForwardPass<T>> outputs_;
};

template <class T>
class EstimatorOf final : public AnyEstimator {
 public:
  EstimatorOf(std::shared_ptr<ModelOf<T>> model, std::unique_ptr<Estimator<T>> estimator)
      : model_(std::move(model)), estimator_(std::move(estimator)) {}

  PythonEstimate estimate(const py::object& batch, std::uint32_t step, bool in_place) override {
    return {model_,
            model_->at(batch,
                       [&] {
                         return in_place
                                    ? estimator_->estimate_in_place(model_->objective(), model_->parameters(), step)
                                    : estimator_->estimate(model_->objective(), model_->parameters(), step);
                       }),
            slopes() + losses()};
  }
  void learn(const PythonEstimate& estimate, double pace) override {
    model_->work([&] { estimator_->learn(estimate.found(), pace); });
  }
  std::optional<double> rate() const override { return estimator_->rate(); }
  Index slopes() const override { return estimator_->slopes(); }
  Index losses() const override { return estimator_->losses(); }
  Demand demand(Index rows) override {
    return model_->work([&] {
      if (rows > 0) model_->bind({.rows = rows});
      return estimator_->demand(model_->objective());
    });
  }

 private:
  std::shared_ptr<ModelOf<T>> model_;
  std::unique_ptr<Estimator<T>> estimator_;
};

template <class T>
class OptimizerOf final : public AnyOptimizer {
 public:
  OptimizerOf(std::shared_ptr<ModelOf<T>> model, std::unique_ptr<Optimizer<T>> optimizer)
      : model_(std::move(model)), optimizer_(std::move(optimizer)) {}
  void step(const PythonEstimate& estimate, double rate) override {
    model_->work([&] { optimizer_->step(model_->parameters(), estimate.found(), rate); });
  }
  void step(const py::object& gradient, double rate) override {
    const DenseGradient<T> dense = model_->dense_of(gradient);
    model_->work([&] { optimizer_->step(model_->parameters(), dense, rate); });
  }
  double step_along(const PythonEstimate& estimate, const py::object& batch, double share) override {
    if (!rate_) rate_.emplace(StepRateOptions{.safety = StepRate::safety_of(estimate.asked())});
    const bool looked = StepRate::looks_at(along_++);
    double rate = 0;
    model_->at(batch, [&] {
      StepLook look{.loss = estimate.found().loss()};
      optimizer_->step(model_->parameters(), estimate.found(), [&](const StepDirection& direction) {
        if (looked) {
          const Slopes found = look_along(model_->objective(), model_->parameters(), direction);
          look = {.loss = look.loss, .slope = found.slopes[0], .curvature = found.curvatures[0]};
          rate_->watch(look);
        }
        return rate = share * rate_->rate();
      });
      if (looked && !optimizer_->shrinks()) rate_->met(look, rate, model_->objective().loss(model_->parameters()));
    });
    return rate;
  }
  Index steps() const override { return optimizer_->steps(); }

 private:
  std::shared_ptr<ModelOf<T>> model_;
  std::unique_ptr<Optimizer<T>> optimizer_;
  std::optional<StepRate> rate_;
  Index along_ = 0;  // steps whose rate was found
};

template <class T>
py::array drawn(const ParameterLayout& layout, const std::string& law, Index count, std::uint64_t seed,
                std::uint32_t step, const LawOptions& options = {}) {
  const auto probe = make_probe(law, layout, seed, options);
  probe->check_count(count);
  py::array_t<T> values({count, layout.size});
  T* out = values.mutable_data();
  const py::gil_scoped_release release;
  const OpenBlasTurn products;
  const auto draw = probe->draw(step, count);
  for (Index k = 0; k < count; ++k)
    draw->fill(k, 0, std::span<T>(out + k * layout.size, static_cast<std::size_t>(layout.size)));
  return values;
}

template <class T>
py::array ModelOf<T>::tangents(const std::string& law, Index count, std::uint64_t seed, std::uint32_t step, Index rank,
                               Index hold) {
  return drawn<T>(layout(), law, count, seed, step, {.rank = rank, .hold = hold});
}
template <class T>
std::unique_ptr<AnyEstimator> ModelOf<T>::estimator(const std::string& name, const EstimatorOptions& options) {
  const EstimatorTarget target =
      source_ ? EstimatorTarget(*source_->program, source_->sites) : EstimatorTarget(layout());
  auto self = std::static_pointer_cast<ModelOf<T>>(shared_from_this());
  return std::make_unique<EstimatorOf<T>>(std::move(self), make_estimator<T>(name, target, options));
}
template <class T>
std::unique_ptr<AnyOptimizer> ModelOf<T>::optimizer(const std::string& name, const OptimizerOptions& options) {
  auto self = std::static_pointer_cast<ModelOf<T>>(shared_from_this());
  return std::make_unique<OptimizerOf<T>>(std::move(self), make_optimizer<T>(name, layout().size, options));
}

// `theta`: called with a number of the type, makes θ.
template <class Theta>
std::shared_ptr<PythonModel> subject(Source source, bool single, Theta theta) {
  if (single) return std::make_shared<ModelOf<float>>(std::move(source), [theta] { return theta(float{}); });
  return std::make_shared<ModelOf<double>>(std::move(source), [theta] { return theta(double{}); });
}

}  // namespace

std::shared_ptr<PythonModel> onnx_subject(OnnxModel model, const OnnxOptions& options, const OnnxLossOptions& loss,
                                          std::uint64_t seed, bool single) {
  const auto file = std::make_shared<const OnnxModel>(std::move(model));
  require_training(*file);
  OnnxProgram made = onnx_program(*file, loss);
  const ActivitySites sites = onnx_sites(made);
  return subject(
      {std::make_shared<const Program>(std::move(made.program)), sites, made.output, origin_of(file, options, loss)},
      single, [file, seed]<class T>(T) { return file->initial<T>(seed); });
}

std::shared_ptr<PythonModel> network_subject(const NetworkSpec& spec, const Shape& image, NetworkTarget target,
                                             std::uint64_t seed, bool single) {
  auto made = make_model(spec, image, target);
  const auto program = std::make_shared<const Program>(std::move(made.program));
  return subject({program, made.sites, made.logits, origin_of(spec, image, target)}, single,
                 [program, seed]<class T>(T) { return initialize<T>(program->layout(), seed); });
}

std::shared_ptr<PythonModel> function_subject(py::function function, const py::object& theta, bool vectorised,
                                              double epsilon) {
  const py::array_t<double> start = array_of<double>(theta, "theta");
  if (start.ndim() != 1 || start.size() == 0)
    throw py::value_error(fmt::format("theta: expected the shape (n,), n from 1 on, found {}", shape_text(start)));
  auto objective = std::make_unique<PythonFunction>(std::move(function), start.size(), vectorised, epsilon);
  return std::make_shared<ModelOf<double>>(
      std::move(objective), Parameters<double>(std::vector<double>(start.data(), start.data() + start.size())));
}

namespace {

ParameterLayout layout_of(const std::vector<std::vector<Index>>& shapes) {
  ParameterLayout layout;
  for (const std::vector<Index>& extents : shapes) {
    const Shape shape(extents);
    layout.add(std::to_string(layout.segments.size()), shape, {}, extents.size() > 1 ? extents[0] : shape.size());
  }
  return layout;
}

}  // namespace

py::array tangents_of(const std::vector<std::vector<Index>>& shapes, const std::string& law, Index count,
                      std::uint64_t seed, std::uint32_t step, bool single) {
  const ParameterLayout layout = layout_of(shapes);
  return single ? drawn<float>(layout, law, count, seed, step) : drawn<double>(layout, law, count, seed, step);
}

NoiseEstimate noise_of(const std::vector<std::vector<Index>>& shapes, const std::string& law,
                       const std::vector<double>& slopes) {
  return estimate_noise(*make_probe(law, layout_of(shapes), 1), slopes);
}

}  // namespace slopewise
