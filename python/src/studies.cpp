// The audit of a model and the study of the claims, as Python asks for them: the rooms' own, with Python's progress and
// Ctrl-C.
#include <fmt/format.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <chrono>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "python/src/bind.hpp"
#include "python/src/model.hpp"
#include "slopewise/audit/audit.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/interrupt_scope.hpp"
#include "slopewise/data/digits.hpp"
#include "slopewise/data/load.hpp"
#include "slopewise/model/models.hpp"
#include "slopewise/report/audit_text.hpp"
#include "slopewise/report/progress.hpp"
#include "slopewise/study/study.hpp"
#include "slopewise/tensor/machine.hpp"

namespace slopewise {
namespace {

using Json = nlohmann::ordered_json;
using namespace pybind11::literals;

std::string text_of(const Json& document) {
  return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Work of this library without Python's lock, which Ctrl-C stops where Python would hear of it too, on its main thread;
// then Python handles the signal, by raising KeyboardInterrupt unless it was told otherwise.
template <class Work>
auto interruptible(Work work) {
  const py::module_ threading = py::module_::import("threading");
  const bool main = threading.attr("current_thread")().is(threading.attr("main_thread")());
  std::optional<decltype(work())> done;
  bool asked = false;
  {
    std::optional<InterruptScope> scope;
    if (main) scope.emplace();
    try {
      const py::gil_scoped_release release;
      const OpenBlasTurn products;
      done.emplace(work());
    } catch (const Interrupted&) {
      if (!main) throw;
    }
    asked = main && interrupted();
  }
  if (asked && !done) {
    PyErr_SetInterrupt();
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    throw Interrupted("interrupted");
  }
  return std::move(*done);
}

// Tells Python how far the work is, `told(share of all, what)`, a few times a second and from the thread that asked.
// What that raises is raised after the work.
class Teller {
 public:
  explicit Teller(py::object told) : told_(std::move(told)), thread_(std::this_thread::get_id()) {}
  void begins(const std::string& what) {
    const std::lock_guard lock(mutex_);
    what_ = what;
    last_ = {};
  }
  void advances(double share) {
    double done = 0;
    std::string what;
    {
      const std::lock_guard lock(mutex_);
      done_ += share;
      const auto now = std::chrono::steady_clock::now();
      if (std::this_thread::get_id() != thread_ || now - last_ < kPause) return;
      last_ = now;
      done = done_;
      what = what_;
    }
    const py::gil_scoped_acquire acquire;
    if (told_.is_none() || raised_) return;
    try {
      told_(done, what);
    } catch (py::error_already_set& error) {
      raised_.emplace(std::move(error));
    }
  }
  void rethrow() {
    if (raised_) throw py::error_already_set(std::move(*raised_));
  }

 private:
  static constexpr std::chrono::milliseconds kPause{100};
  py::object told_;
  std::thread::id thread_;
  std::mutex mutex_;
  double done_ = 0;
  std::string what_;
  std::chrono::steady_clock::time_point last_ = {};
  std::optional<py::error_already_set> raised_;
};

// The examples as a set like that, copied.
Dataset set_of(Dataset set, const Batch<float>& batch) {
  const auto rows_of = [](const Batch<float>::Input& input, const Shape& shape) {
    return std::visit(
        [&]<class U>(std::span<const U> values) {
          return Rows(std::vector<U>(values.begin(), values.end()), shape.size());
        },
        input);
  };
  set.name = "the data";
  auto input = batch.inputs.begin();
  set.inputs = rows_of(*input++, set.image_shape);
  for (OtherInput& other : set.others) other.rows = rows_of(*input++, other.shape);
  set.scaling.rule = Scaling::Rule::kNone;
  if (set.classes > 0) {
    const auto labels = std::get<std::span<const std::int32_t>>(*input);
    set.labels.assign(labels.begin(), labels.end());
  } else if (set.outputs > 0) {
    const auto targets = std::get<std::span<const float>>(*input);
    set.targets.assign(targets.begin(), targets.end());
  }
  return set;
}

// What makes an Estimator of a method's gradients, or None where it is none of end-to-end training in Python.
py::object estimator_options_of(const AuditTask& task, const std::vector<AuditMethod>& methods,
                                const std::optional<Choice>& choice) {
  if (!choice) return py::none();
  const AuditMethod& method = *std::ranges::find(methods, choice->method, &AuditMethod::name);
  const MethodSettings& settings = method.settings;
  if (method.network != AuditMethod::Network::kWhole || settings.checkpointed || settings.micro_batch > 0)
    return py::none();
  const EstimatorOptions options = estimator_options(settings, task.network.training.front(), task.seed);
  py::dict found;
  found["name"] = settings.estimator;
  found["law"] = options.law;
  found["tangents"] = options.tangents;
  if (method.biased()) {
    found["prior"] = options.activity.prior;
    found["correction"] = "none";
  }
  if (options.exact_head) found["exact_head"] = *options.exact_head;
  return found;
}

// (audit.json, and for the best method and the second what makes an Estimator of each)
py::tuple audit(const std::shared_ptr<PythonModel>& model, const py::object& examples, Index batch, std::uint64_t seed,
                Index memory, bool forward_only, bool verify, double seconds, Index samples,
                const std::vector<Index>& batches, const std::vector<std::string>& tried, const py::object& told) {
  PythonModel::Trainable trainable = model->trainable(true);
  const Examples<float> given(model->inputs(), examples, model->inputs().size());
  DataSplit data{.train = set_of(std::move(trainable.like), given.batch()), .test = {}, .format = {}};
  data.test = reference_set(data.train, batch, seed);
  const AuditTask task{.data = data,
                       .network = std::move(trainable.network),
                       .local = std::move(trainable.local),
                       .tops = std::move(trainable.tops),
                       .batch = batch,
                       .seed = seed,
                       .weights = {},
                       .memory = memory,
                       .forward_only = forward_only};
  const AuditOptions options{
      .verify = verify, .seconds = seconds, .samples = samples, .batches = batches, .tried = tried};
  Teller teller(told);
  const AuditResult result = interruptible([&] {
    AuditResult found = run_audit(task, options,
                                  {.begins = [&](const std::string& what) { teller.begins(what); },
                                   .advances = [&](double share) { teller.advances(share); }});
    check_interrupted("auditing");
    return found;
  });
  teller.rethrow();
  return py::make_tuple(text_of(audit_document(task, options, result)),
                        estimator_options_of(task, result.methods, result.recommendation.best),
                        estimator_options_of(task, result.methods, result.recommendation.second));
}

constexpr std::int32_t kMostClasses = 1 << 20;

// Images or rows (count, …) with labels from 0 on.
Dataset labelled_set(const py::object& images, const py::object& labels) {
  const auto x = array_of<float>(images, "data");
  const auto y = array_of<std::int32_t>(labels, "labels");
  if (x.ndim() < 2 || x.shape(0) == 0)
    throw py::value_error(fmt::format("data: expected the shape (rows, …), found {}", shape_text(x)));
  if (y.ndim() != 1 || y.shape(0) != x.shape(0))
    throw py::value_error(fmt::format("labels: expected the shape ({},), found {}", x.shape(0), shape_text(y)));
  Shape shape(std::vector<Index>(x.shape() + 1, x.shape() + x.ndim()));
  if (shape.rank() == 2) shape = {shape[0], shape[1], 1};
  const std::span<const std::int32_t> given = span_of(y);
  const auto [least, most] = std::ranges::minmax(given);
  if (least < 0) throw py::value_error(fmt::format("labels: expected numbers from 0 on, found {}", least));
  if (most >= kMostClasses)
    throw py::value_error(fmt::format("labels: expected numbers below {}, found {}", kMostClasses, most));
  if (most == 0) throw py::value_error("labels: expected at least 2 classes, found 0 alone");
  Dataset set{.name = "arrays", .image_shape = shape, .classes = most + 1};
  set.inputs = Rows(std::vector<float>(x.data(), x.data() + x.size()), shape.size());
  set.labels.assign(given.begin(), given.end());
  set.scaling.rule = Scaling::Rule::kNone;
  return set;
}

// `data`: None for the built-in digits, the path of a data set, or (images, labels).
Dataset study_set(const py::object& data, std::uint64_t seed) {
  if (py::isinstance<py::tuple>(data)) {
    const auto both = data.cast<py::tuple>();
    return labelled_set(both[0], both[1]);
  }
  const auto path = data.is_none() ? std::nullopt : std::optional(data.cast<std::filesystem::path>());
  const py::gil_scoped_release release;
  return path ? load_dataset(*path, {.seed = seed}).train : builtin_digits().train;
}

// Of a model, of which `data` is the arrays and `name` what it is called; or of the network of that name.
// (results.json, what was going on when it was interrupted)
py::tuple study(const std::shared_ptr<PythonModel>& model, const std::string& name, const py::object& data,
                const std::vector<std::string>& names, const std::vector<Index>& hidden, Index batch,
                std::uint64_t seed, bool quick, const py::object& told) {
  select_claims(names);  // refuses what there is not before data are read
  Dataset set;
  StudyNetwork network;
  if (model) {
    PythonModel::Trainable trainable = model->trainable(false);
    const Examples<float> given(model->inputs(), data, model->inputs().size());
    set = set_of(std::move(trainable.like), given.batch());
    network = {.name = name, .network = std::move(trainable.network)};
  } else {
    NetworkSpec spec = named_network(name);
    if (!hidden.empty()) spec.hidden = hidden;
    set = study_set(data, seed);
    network = study_network(spec, name, set);
  }
  Teller teller(told);
  const auto [document, interruption] = interruptible([&] {
    StudyContext context({.batch = batch, .seed = seed, .quick = quick}, std::move(set), std::move(network));
    const Questions asked = choose_questions(context, names);
    double total = 0;
    for (const Claim& claim : asked.claims) total += claim.weight;
    StudyRun run = run_until_interrupted(
        context, asked.claims,
        {.begins = [&](const Claim& claim) { teller.begins(claim.name); },
         .advances = [&](const Claim& claim, double share) { teller.advances(claim.weight * share / total); }});
    if (run.interruption.empty() && interrupted()) run.interruption = "interrupted at the end";
    return std::pair(text_of(study_document(context, run.outcomes, asked.left_out)), run.interruption);
  });
  teller.rethrow();
  return py::make_tuple(document, interruption);
}

}  // namespace

void bind_studies(py::module_& m) {
  m.def("audit", &audit, "model"_a, "examples"_a, py::kw_only(), "batch"_a, "seed"_a, "memory"_a, "forward_only"_a,
        "verify"_a, "seconds"_a, "samples"_a, "batches"_a, "tried"_a, "told"_a);
  m.def("audit_text", [](const std::string& document) { return audit_text(Json::parse(document)); });
  m.def("study", &study);
  m.def("claims", &claim_names);
  m.def("machine", [] { return text_of(describe_machine()); });
  // How far a task is, on standard error.
  py::class_<Progress>(m, "Progress")
      .def(py::init([](const std::string& task, double total, const std::string& unit) {
        return std::make_unique<Progress>(task, total, ProgressStyle{.unit = unit});
      }))
      .def("advance", &Progress::advance)
      .def("note", &Progress::note)
      .def("stop", &Progress::stop);
}

}  // namespace slopewise
