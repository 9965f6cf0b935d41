// The extension module slopewise._slopewise: what the package's Python is written on. Names and meanings are documented
// there, types in _slopewise.pyi.
#include <pybind11/functional.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include "python/src/bind.hpp"
#include "python/src/model.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/json_text.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/base/version.hpp"
#include "slopewise/data/batches.hpp"
#include "slopewise/estimate/activity_prior.hpp"
#include "slopewise/model/models.hpp"
#include "slopewise/optimize/schedule.hpp"
#include "slopewise/report/page.hpp"
#include "slopewise/statistics/intervals.hpp"

namespace slopewise {
namespace {

using namespace pybind11::literals;

void translate(std::exception_ptr thrown) {
  try {
    if (thrown) std::rethrow_exception(thrown);
  } catch (const FileError& error) {
    PyErr_SetString(PyExc_OSError, error.what());
  } catch (const NumericError& error) {
    PyErr_SetString(PyExc_FloatingPointError, error.what());
  } catch (const Interrupted& error) {
    PyErr_SetString(PyExc_KeyboardInterrupt, error.what());
  } catch (const Error& error) {                    // ArgumentError, ShapeError
    const std::string_view message = error.what();  // which may name an option as the command line has it
    PyErr_SetString(PyExc_ValueError, message.data() + (message.starts_with("--") ? 2 : 0));
  }
}

std::shared_ptr<const OnnxTensor> tensor_of(const std::string& name, const py::object& object) {
  const py::array array(py::module_::import("numpy").attr("asarray")(object));
  OnnxTensor tensor;
  tensor.dims.assign(array.shape(), array.shape() + array.ndim());
  const auto take = [&]<class T>(T) {
    const py::array_t<T> values = array_of<T>(array, "fixed input '" + name + "'");
    return std::vector<T>(values.data(), values.data() + values.size());
  };
  switch (array.dtype().kind()) {
    case 'b':
    case 'i':
    case 'u': {
      tensor.type = array.dtype().kind() == 'b' ? OnnxType::kBoolean : OnnxType::kInteger;
      const std::vector<std::int32_t> values = take(std::int32_t{});
      tensor.numbers = std::vector<std::int64_t>(values.begin(), values.end());
      break;
    }
    default:
      tensor.type = OnnxType::kDouble;
      tensor.numbers = take(double{});
  }
  return std::make_shared<const OnnxTensor>(std::move(tensor));
}

bool single_of(const std::string& dtype) {
  if (dtype == "float32") return true;
  if (dtype == "float64") return false;
  throw ArgumentError("dtype: expected float32 or float64, found " + dtype);
}

std::shared_ptr<PythonModel> onnx_model(const py::object& source, const std::string& name, const std::string& loss,
                                        double label_smoothing, std::optional<std::int32_t> ignore, std::string train,
                                        std::map<std::string, Index> extents, std::string output,
                                        const std::map<std::string, py::object>& fixed, bool channels_last, bool whole,
                                        bool fuse, std::optional<std::set<std::string>> weights, std::uint64_t seed,
                                        const std::string& dtype) {
  OnnxOptions options{.train = std::move(train),
                      .extents = std::move(extents),
                      .output = std::move(output),
                      .channels_last = channels_last,
                      .weights = std::move(weights),
                      .whole = whole,
                      .fuse = fuse};
  for (const auto& [input, values] : fixed) options.fixed[input] = tensor_of(input, values);
  const bool single = single_of(dtype);
  const OnnxLossOptions kind{.kind = onnx_loss(loss), .label_smoothing = label_smoothing, .ignored = ignore};
  if (py::isinstance<py::bytes>(source)) {
    const std::string_view bytes = py::reinterpret_borrow<py::bytes>(source);
    const py::gil_scoped_release release;
    return onnx_subject(load_onnx({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, name, options),
                        options, kind, seed, single);
  }
  const auto path = source.cast<std::filesystem::path>();
  const py::gil_scoped_release release;
  return onnx_subject(load_onnx(path, options), options, kind, seed, single);
}

std::shared_ptr<PythonModel> network(const std::string& family, std::vector<Index> hidden,
                                     const std::vector<std::tuple<Index, bool, bool>>& convolutions, Index patch,
                                     bool residual, const std::vector<Index>& image, Index outputs, bool numbers,
                                     std::uint64_t seed, const std::string& dtype) {
  NetworkSpec spec{.family = family, .hidden = std::move(hidden), .patch = patch, .residual = residual};
  for (const auto& [channels, pool, padded] : convolutions) spec.convolutions.push_back({channels, pool, padded});
  return network_subject(spec, Shape(image), numbers ? NetworkTarget::of_numbers(outputs) : NetworkTarget(outputs),
                         seed, single_of(dtype));
}

Correction correction_of(const std::string& name) {
  if (name == "full") return Correction::kFull;
  if (name == "gated") return Correction::kGated;
  if (name == "none") return Correction::kNone;
  throw ArgumentError("correction: expected full, gated or none, found " + name);
}
TangentStorage storage_of(const std::string& name) {
  if (name == "auto") return TangentStorage::kAuto;
  if (name == "stored") return TangentStorage::kStored;
  if (name == "drawn") return TangentStorage::kDrawn;
  throw ArgumentError("storage: expected auto, stored or drawn, found " + name);
}

std::unique_ptr<AnyEstimator> estimator(const std::shared_ptr<PythonModel>& model, const std::string& name,
                                        const std::string& law, Index tangents, std::uint64_t seed, double epsilon,
                                        double learning_share, double isotropic_share, Index subspace,
                                        const std::string& storage, const std::string& prior,
                                        const std::string& correction, double gate, double pace, Index block_group,
                                        Index look_ahead, bool together, std::optional<bool> exact_head,
                                        std::optional<Index> exact_blocks, double clip_slope, double clip_quantile,
                                        bool auto_rate, Index rank, Index hold, bool per_deviation) {
  return model->estimator(name, {.law = law,
                                 .tangents = tangents,
                                 .seed = seed,
                                 .epsilon = epsilon,
                                 .learning_share = learning_share,
                                 .isotropic_share = isotropic_share,
                                 .subspace = subspace,
                                 .storage = storage_of(storage),
                                 .activity = {.prior = prior,
                                              .correction = correction_of(correction),
                                              .gate = gate,
                                              .pace = pace,
                                              .group = block_group,
                                              .ahead = look_ahead,
                                              .together = together},
                                 .law_options = {.rank = rank, .hold = hold},
                                 .exact_head = exact_head,
                                 .exact_blocks = exact_blocks,
                                 .clip_slope = clip_slope,
                                 .clip_quantile = clip_quantile,
                                 .per_deviation = per_deviation,
                                 .auto_rate = auto_rate});
}

py::tuple mean_with_interval(const std::vector<double>& values, double confidence) {
  Moments moments;
  moments.add(values);
  if (values.size() < 2) {
    constexpr double kUnknown = std::numeric_limits<double>::infinity();
    return py::make_tuple(moments.mean(), -kUnknown, kUnknown);
  }
  const Interval interval = mean_interval(moments.central(), confidence);
  return py::make_tuple(moments.mean(), interval.low, interval.high);
}

template <class T>
py::array array_of_vector(const std::vector<T>& values) {
  return array_from(std::span<const T>(values));
}

// (‖∇‖², low, high, confidence, ‖∇ − a m‖², least SNR, largest SNR)
py::tuple noise_tuple(const NoiseEstimate& noise) {
  return py::make_tuple(noise.squared_norm, noise.squared_norm_low, noise.squared_norm_high, noise.confidence,
                        noise.residual_squared_norm, noise.snr_low, noise.snr_high);
}

py::dict summaries(const std::vector<std::string>& names, std::string_view (*summary)(std::string_view)) {
  py::dict table;
  for (const std::string& name : names) table[py::str(name)] = py::str(std::string(summary(name)));
  return table;
}

void bind_model(py::module_& m) {
  py::class_<PythonModel, std::shared_ptr<PythonModel>>(m, "Model")
      .def_property_readonly("size", [](const PythonModel& model) { return model.layout().size; })
      .def_property_readonly("dtype", &PythonModel::dtype)
      .def_property_readonly(
          "inputs",
          [](const PythonModel& model) {
            py::list inputs;
            for (const InputSpec& input : model.inputs())
              inputs.append(py::make_tuple(input.name, py::tuple(py::cast(input.shape.extents())), input.integer));
            return inputs;
          })
      .def_property_readonly("pieces",
                             [](const PythonModel& model) {
                               py::list pieces;
                               for (const Piece& piece : model.pieces()) {
                                 pieces.append(py::make_tuple(
                                     piece.name, piece.offset, py::tuple(py::cast(piece.segment.extents())),
                                     py::tuple(py::cast(piece.shape.extents())), py::tuple(py::cast(piece.order))));
                               }
                               return pieces;
                             })
      .def_property_readonly("constants", [](const PythonModel& model) { return model.constants(); })
      .def("values", &PythonModel::values)
      .def("set_values", &PythonModel::set_values)
      .def("add", py::overload_cast<const PythonEstimate&, double>(&PythonModel::add))
      .def("add", py::overload_cast<const py::object&, double>(&PythonModel::add))
      .def("loss", &PythonModel::loss)
      .def("outputs", &PythonModel::outputs)
      .def("gradient", &PythonModel::gradient)
      .def("slopes",
           [](PythonModel& model, const py::object& batch, const py::object& tangents) {
             const Slopes found = model.slopes(batch, tangents, 1);
             return py::make_tuple(found.loss, array_of_vector(found.slopes));
           })
      .def("curvatures",
           [](PythonModel& model, const py::object& batch, const py::object& tangents) {
             const Slopes found = model.slopes(batch, tangents, 2);
             return py::make_tuple(found.loss, array_of_vector(found.slopes), array_of_vector(found.curvatures));
           })
      .def("hessian_trace",
           [](PythonModel& model, const py::object& batch, const std::string& law, Index count, std::uint64_t seed,
              std::uint32_t step, double confidence) {
             return mean_with_interval(model.curvatures(batch, law, count, seed, step).curvatures, confidence);
           })
      .def("tangents", &PythonModel::tangents)
      .def("save", &PythonModel::save);
  m.def("onnx_model", &onnx_model);
  m.def("network", &network);
  m.def("function", &function_subject);
  m.def("tangents_of", [](const std::vector<std::vector<Index>>& shapes, const std::string& law, Index count,
                          std::uint64_t seed, std::uint32_t step, const std::string& dtype) {
    return tangents_of(shapes, law, count, seed, step, single_of(dtype));
  });
  m.def("noise_of", [](const std::vector<std::vector<Index>>& shapes, const std::string& law,
                       const std::vector<double>& slopes) { return noise_tuple(noise_of(shapes, law, slopes)); });
  // The widths of a network by name: (family, hidden, convolutions, patch, residual).
  m.def("named_network", [](const std::string& name) {
    const NetworkSpec spec = named_network(name);
    py::list convolutions;
    for (const auto& each : spec.convolutions)
      convolutions.append(py::make_tuple(each.channels, each.pool, each.padded));
    return py::make_tuple(spec.family, spec.hidden, convolutions, spec.patch, spec.residual);
  });
}

void bind_estimates(py::module_& m) {
  py::class_<PythonEstimate, std::shared_ptr<PythonEstimate>>(m, "Estimate")
      .def_property_readonly("model", &PythonEstimate::model)
      .def_property_readonly("loss", [](const PythonEstimate& estimate) { return estimate.found().loss(); })
      .def_property_readonly("slopes",
                             [](const PythonEstimate& estimate) { return array_of_vector(estimate.found().slopes()); })
      .def_property_readonly(
          "block_slopes",
          [](const PythonEstimate& estimate) { return array_of_vector(estimate.found().block_slopes()); })
      .def_property_readonly("clipped", [](const PythonEstimate& estimate) { return estimate.found().clipped(); })
      .def_property_readonly("squared_norm",
                             [](const PythonEstimate& estimate) { return estimate.found().squared_norm(); })
      .def_property_readonly("noise",
                             [](const PythonEstimate& estimate) { return noise_tuple(estimate.found().noise()); })
      .def("entry", [](const PythonEstimate& estimate, Index i) { return estimate.found().entry(i); })
      .def("dense", [](const PythonEstimate& estimate) { return estimate.model()->dense(estimate); });

  py::class_<AnyEstimator>(m, "Estimator")
      .def(py::init(&estimator), "model"_a, "name"_a, py::kw_only(), "law"_a, "tangents"_a, "seed"_a, "epsilon"_a,
           "learning_share"_a, "isotropic_share"_a, "subspace"_a, "storage"_a, "prior"_a, "correction"_a, "gate"_a,
           "pace"_a, "block_group"_a, "look_ahead"_a, "together"_a, "exact_head"_a, "exact_blocks"_a, "clip_slope"_a,
           "clip_quantile"_a, "auto_rate"_a, "rank"_a, "hold"_a, "per_deviation"_a)
      .def("estimate",
           [](AnyEstimator& self, const py::object& batch, std::uint32_t step, bool in_place) {
             return std::make_shared<PythonEstimate>(self.estimate(batch, step, in_place));
           })
      .def("learn", &AnyEstimator::learn)
      .def_property_readonly("rate", &AnyEstimator::rate)
      .def_property_readonly("slopes", &AnyEstimator::slopes)
      .def_property_readonly("losses", &AnyEstimator::losses)
      .def("demand", [](AnyEstimator& self, Index rows) {
        const Demand demand = self.demand(rows);
        return py::make_tuple(demand.unpacked(), demand.packed, demand.flops);
      });

  py::class_<AnyOptimizer>(m, "Optimizer")
      .def(py::init([](const std::shared_ptr<PythonModel>& model, const std::string& name, double momentum,
                       double beta1, double beta2, double epsilon, double weight_decay, double clip_norm) {
             return model->optimizer(name, {.momentum = momentum,
                                            .beta1 = beta1,
                                            .beta2 = beta2,
                                            .epsilon = epsilon,
                                            .weight_decay = weight_decay,
                                            .clip_norm = clip_norm});
           }),
           "model"_a, "name"_a, py::kw_only(), "momentum"_a, "beta1"_a, "beta2"_a, "epsilon"_a, "weight_decay"_a,
           "clip_norm"_a)
      .def("step", py::overload_cast<const PythonEstimate&, double>(&AnyOptimizer::step))
      .def("step", py::overload_cast<const py::object&, double>(&AnyOptimizer::step))
      .def("step_along", &AnyOptimizer::step_along)
      .def_property_readonly("steps", &AnyOptimizer::steps);
}

// What is in a directory, or (name, results.json or audit.json, lines of metrics.jsonl).
ReportFiles files_of(const py::handle& run) {
  if (!py::isinstance<py::tuple>(run)) return read_report_files(run.cast<std::filesystem::path>());
  const auto [name, results, metrics] = run.cast<std::tuple<std::string, std::string, std::vector<std::string>>>();
  nlohmann::ordered_json document = parse_json(results, name);
  if (document.value("schema", "").starts_with("slopewise.audit/"))
    return AuditFiles{.directory = name, .document = std::move(document)};
  RunFiles files{.directory = name, .results = std::move(document), .metrics = {}};
  for (const std::string& line : metrics) files.metrics.push_back(parse_json(line, name));
  return files;
}

void bind_training(py::module_& m) {
  py::class_<Batches>(m, "Batches")
      .def(py::init<std::int64_t, std::int64_t, std::uint64_t>())
      .def_property_readonly("per_epoch", &Batches::per_epoch)
      .def("indices", [](const Batches& batches, std::int64_t step) { return array_of_vector(batches.indices(step)); });
  m.def("report_page", [](const py::list& runs) {
    if (runs.empty()) throw ArgumentError("report: expected runs, found none");
    std::vector<ReportFiles> files;
    for (const py::handle run : runs) files.push_back(files_of(run));
    return page_of(files);
  });
}

}  // namespace
}  // namespace slopewise

PYBIND11_MODULE(_slopewise, m) {
  using namespace slopewise;
  py::options options;
  options.disable_function_signatures();
  py::register_exception_translator(&translate);
  share_openblas();
  m.attr("version") = version();
  m.def("thread_count", &thread_count);
  m.def("set_thread_count", &set_thread_count);
  bind_model(m);
  bind_estimates(m);
  bind_training(m);
  bind_studies(m);
  const EstimatorOptions estimates;
  m.attr("estimator_defaults") =
      py::dict("law"_a = estimates.law, "tangents"_a = estimates.tangents, "seed"_a = estimates.seed,
               "epsilon"_a = estimates.epsilon, "learning_share"_a = estimates.learning_share,
               "isotropic_share"_a = estimates.isotropic_share, "subspace"_a = estimates.subspace,
               "prior"_a = estimates.activity.prior, "gate"_a = estimates.activity.gate,
               "pace"_a = estimates.activity.pace, "block_group"_a = estimates.activity.group,
               "look_ahead"_a = estimates.activity.ahead, "together"_a = estimates.activity.together,
               "rank"_a = estimates.law_options.rank, "hold"_a = estimates.law_options.hold,
               "clip_slope"_a = estimates.clip_slope, "clip_quantile"_a = estimates.clip_quantile);
  const OptimizerOptions optimizes;
  m.attr("optimizer_defaults") = py::dict(
      "momentum"_a = optimizes.momentum, "beta1"_a = optimizes.beta1, "beta2"_a = optimizes.beta2,
      "epsilon"_a = optimizes.epsilon, "weight_decay"_a = optimizes.weight_decay, "clip_norm"_a = optimizes.clip_norm);
  m.def("schedule_rates", [](const std::string& name, double rate, double final_rate, Index steps, Index warm_up) {
    const Schedule schedule(name, {.rate = rate, .final_rate = final_rate, .steps = steps, .warm_up = warm_up});
    return py::cpp_function([schedule](Index step) { return schedule.rate(step); });
  });
  m.def("estimators", [] { return summaries(estimator_names(), estimator_summary); });
  m.def("laws", [] { return summaries(probe_names(), probe_summary); });
  m.def("optimizers", [] { return summaries(optimizer_names(), optimizer_summary); });
  m.def("networks", [] { return summaries(network_names(), network_summary); });
  m.def("schedules", [] { return summaries(schedule_names(), schedule_summary); });
  m.def("priors", [] { return summaries(activity_prior_names(), activity_prior_summary); });
  m.def("losses", [] { return onnx_loss_names(); });
}
