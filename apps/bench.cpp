// `slopewise bench`: what a training step costs, beside its opponents, measured in turn on this machine.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/arguments.hpp"
#include "apps/bench/compare.hpp"
#include "apps/bench/machine.hpp"
#include "apps/bench/memory.hpp"
#include "apps/bench/onnxruntime.hpp"
#include "apps/bench/report.hpp"
#include "apps/bench/subject.hpp"
#include "apps/config.hpp"
#include "apps/run_directory.hpp"
#include "apps/verb.hpp"
#include "slopewise/base/atomic_file.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/report/json.hpp"
#include "slopewise/report/progress.hpp"
#include "slopewise/report/terminal.hpp"
#include "slopewise/tensor/products/weight_product.hpp"

namespace slopewise {
namespace {

struct Options {
  std::vector<std::string> models = {"mlp-1024"};
  std::vector<Index> batches = {64};
  std::vector<int> threads = {1};
  std::vector<Index> tangents = {1};
  std::vector<std::string> steps = step_names();
  OnnxSettings onnx;
  Index exact_blocks = -1;  // −1: none
  std::string precision = "float32", tangent_precision = "float32";
  TangentStorage storage = TangentStorage::kAuto;
  std::vector<std::string> against;
  std::string python = "/usr/bin/python3";
  std::string node = "node";
  std::string onnxruntime;  // empty: default_onnxruntime_directory()
  Index rounds = 20;
  double seconds = 0;  // 0: the rounds above
  bool no_memory = false;
  bool json = false;
  bool quiet = false;
  RunDirectoryOptions directory;
  std::string peak_of;

  bool is_against(const char* peer) const { return std::find(against.begin(), against.end(), peer) != against.end(); }
};

// Of steps with tangents, in the order they are shown.
std::vector<Precision> precisions(const Options& options) {
  std::vector<Precision> found;
  const bool all = options.precision != "bf16", tangents = all && options.tangent_precision != "float32";
  if (all && options.tangent_precision != "bf16") found.push_back(Precision::kFloat32);
  if (tangents) found.push_back(Precision::kBfloat16Tangents);
  if (options.precision != "float32") found.push_back(Precision::kBfloat16);
  return found;
}

std::vector<StepKind> own_kinds(const Options& options) {
  std::vector<StepKind> kinds;
  for (const std::string& name : step_names()) {
    if (std::find(options.steps.begin(), options.steps.end(), name) == options.steps.end()) continue;
    if (!takes_tangents(name)) {
      if (options.precision != "bf16") kinds.push_back({.name = name});
      if (options.precision != "float32" && name != "mezo")  // rounding hides differences of losses
        kinds.push_back({.name = name, .precision = Precision::kBfloat16});
      continue;
    }
    for (const Index count : options.tangents) {
      for (const Precision precision : precisions(options))
        kinds.push_back({.name = name, .tangents = count, .precision = precision, .storage = options.storage});
    }
  }
  return kinds;
}

ComparisonOptions compare_options(const Options& options) {
  ComparisonOptions how{.kinds = own_kinds(options),
                        .rounds = {.least = options.rounds, .most = options.rounds},
                        .memory = !options.no_memory};
  if (options.is_against("pytorch")) how.python = options.python;
  if (options.is_against("onnxruntime")) {
    how.onnxruntime = {.node = options.node, .directory = options.onnxruntime};
    if (options.onnxruntime.empty()) how.onnxruntime->directory = default_onnxruntime_directory();
  }
  if (options.seconds > 0) how.rounds = {.least = kLeastBenchRounds, .most = 1'000'000, .seconds = options.seconds};
  return how;
}

int run(const Options& options, const Settings& settings) {
  for (const auto& [name, value] :
       {std::pair("--precision", options.precision), {"--tangent-precision", options.tangent_precision}}) {
    if (value != "float32" && !has_bfloat16())
      throw Error(fmt::format("{} {}: this processor does not multiply bfloat16 numbers (AVX512_BF16)", name, value));
  }
  if (!options.peak_of.empty()) {
    set_thread_count(options.threads[0]);
    StepKind kind{.name = options.peak_of, .precision = precisions(options).front(), .storage = options.storage};
    if (takes_tangents(kind.name)) kind.tangents = options.tangents[0];
    std::cout << peak_above_parameters({options.models[0], options.onnx}, options.batches[0], kind) << '\n';
    return 0;
  }
  std::optional<RunDirectory> held;
  if (!options.directory.out.empty()) held.emplace(options.directory, "");
  for (const std::string& model : options.models) {
    if (held && is_onnx(model)) held->require_kept(model);
  }
  if (!options.no_memory) require_peak_of_memory();
  if (held) {
    held->clear();
    write_config(held->path(), settings, ConfigPart::kGiven);
  }
  const std::vector<std::string> warnings =
      timing_warnings(*std::max_element(options.threads.begin(), options.threads.end()));
  if (!options.quiet) {
    for (const std::string& warning : warnings) std::cerr << "slopewise: warning: " << warning << '\n';
  }

  ComparisonOptions how = compare_options(options);
  const std::size_t count = options.models.size() * options.batches.size() * options.threads.size();
  std::vector<Comparison> comparisons;
  std::vector<std::string> notes;
  std::string interruption;
  try {
    Progress progress("bench", static_cast<double>(count), {.quiet = options.quiet});
    if (!how.python.empty()) progress.note("PyTorch's kernels");
    for (const int threads : how.python.empty() ? std::vector<int>() : options.threads) {
      for (PyTorchKernels& kernels : fastest_kernels(how.python, options.batches, threads)) {
        how.pytorch_kernels.push_back(std::move(kernels));
      }
    }
    for (const std::string& model : options.models) {
      for (const Index batch : options.batches) {
        for (const int threads : options.threads) {
          const std::string name = fmt::format("{}, batch {}, threads {}", model, batch, threads);
          progress.note(name);
          comparisons.push_back(
              compare(how, {model, options.onnx}, batch, threads, [&](double share) { progress.advance(share); }));
          for (const auto* list : {&comparisons.back().cautions, &comparisons.back().notes}) {
            for (const std::string& note : *list) notes.push_back(name + ": " + note);
          }
        }
      }
    }
  } catch (const Error& error) {
    if (!interrupted() || comparisons.empty()) throw;
    interruption = error.what();  // tables that are whole are kept
  }
  nlohmann::ordered_json machine = describe_machine();
  if (!how.python.empty()) machine["pytorch"] = comparisons.back().pytorch;
  if (how.onnxruntime) machine["onnxruntime"] = comparisons.back().onnxruntime;
  machine["warnings"] = warnings;
  machine["notes"] = notes;

  const nlohmann::ordered_json document = bench_document(std::move(machine), comparisons);
  if (held) {
    std::string text;
    for (const Comparison& comparison : comparisons) text += comparison_text(comparison) + "\n";
    AtomicFile table(held->path() / "bench.txt");
    table.write(text);
    write_json(held->path() / "bench.json", document);
    table.commit();
  }
  if (options.json) {
    std::cout << document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
  } else if (!options.quiet) {
    for (const Comparison& comparison : comparisons) {
      std::cout << comparison_text(comparison, is_terminal(1) ? terminal_width(1) : 0, wants_colour(1)) << '\n';
    }
  }
  if (interruption.empty()) return 0;
  throw Interrupted(fmt::format("{}; {} of {} tables were measured before", interruption, comparisons.size(), count));
}

}  // namespace

Verb bench_verb() {
  const auto options = std::make_shared<Options>();
  Verb verb{.settings = Settings("bench"),
            .summary = "Time a training step, and measure its memory, beside inference, backprop and peers"};
  Settings& settings = verb.settings;
  settings.begin("What is measured");
  settings.add("model", options->models, text_like("NAME", network_names()),
               "Networks: 784-1024-1024-10, 784-256-10, 784-10, PyTorch's MNIST example, 64 hidden layers of 512; or "
               "ONNX files");
  settings.add("batch", options->batches, whole(1, 65536), "Examples in a step");
  settings.add("threads", options->threads, whole(1, 1024), "Threads");
  settings.add("tangents", options->tangents, whole(1, 1024, "K"), "Tangents of a step that has them");
  settings.add("steps", options->steps, one_of(step_names()), "Steps to measure");
  settings.add("precision", options->precision, one_of({"float32", "bf16", "both"}),
               "Precision of the factors of all products with weights", {.rare = true});
  settings.add("tangent-precision", options->tangent_precision, one_of({"float32", "bf16", "both"}),
               "The same of those that carry tangents alone", {.rare = true});
  add_storage_option(settings, options->storage, {.rare = true});
  settings.add("rounds", options->rounds, whole(kLeastBenchRounds, 100'000),
               "Rounds in which every step is measured once");
  settings.add("seconds", options->seconds, number(0.1, 86400, "S"),
               fmt::format("Seconds of rounds for each model, batch and number of threads, in place of --rounds; at "
                           "least {} rounds",
                           kLeastBenchRounds),
               {.otherwise = "none", .excludes = "rounds"});
  settings.flag("no-memory", options->no_memory, "Leave out the peaks of memory, each of a process of its own",
                {.rare = true});
  add_onnx_settings(settings, options->onnx, nullptr);
  settings.add("exact-blocks", options->exact_blocks, whole(-1, 1'000'000),
               "Of these weights let those in the last N blocks and after them train alone; -1: all");
  settings.begin("Peers");
  settings.add("against", options->against, one_of({"pytorch", "onnxruntime"}),
               "Also measure PyTorch's SGD and forward-mode steps, ONNX Runtime's loss", {.otherwise = "none"});
  settings.add("python", options->python, text("FILE"), "Python that has PyTorch, with --against pytorch",
               {.rare = true});
  settings.add("node", options->node, text("FILE"), "Node.js that runs ONNX Runtime, with --against onnxruntime",
               {.rare = true});
  settings.add("onnxruntime", options->onnxruntime, text("DIR"),
               "Directory in which npm has installed onnxruntime-node",
               {.otherwise = "slopewise/onnxruntime in the user's cache", .rare = true});
  settings.begin("");
  add_run_directory_options(settings, options->directory, "");
  settings.flag("json", options->json, "Print bench.json instead of the tables");
  settings.flag("quiet", options->quiet, "Print nothing but errors", {.letter = 'q'});
  settings.add("peak-of", options->peak_of, one_of(step_names()), "", {.hidden = true, .in_files = false});
  verb.examples = {
      "env OMP_PROC_BIND=true OMP_PLACES=cores slopewise bench --batch 64,256 --out runs/bench",
      "slopewise bench --model cnn --steps loss,rank-one,backprop --against pytorch,onnxruntime --seconds 20"};
  verb.run = [options](Settings& given) {
    const auto files = std::ranges::count_if(options->models, is_onnx);
    if (files == 0) refuse_onnx_settings(given);
    require_standard_unless(files > 0, given.at("exact-blocks"), "a model from an ONNX file");
    if (options->exact_blocks >= 0) options->onnx.blocks = options->exact_blocks;
    require_unused_unless(false, given.at("ignore-label"), "data; bench draws its own labels");
    if (files > 0 && options->is_against("pytorch"))
      throw ArgumentError("--against pytorch: expected networks by name, found a file, which PyTorch does not read");
    if (files > 0 && options->is_against("onnxruntime") && options->onnx.loss != "cross-entropy")
      throw ArgumentError("--against onnxruntime: expected --loss cross-entropy, of which its loss is made here");
    require_unused_unless(options->is_against("pytorch"), given.at("python"), "--against pytorch");
    for (const char* name : {"node", "onnxruntime"})
      require_unused_unless(options->is_against("onnxruntime"), given.at(name), "--against onnxruntime");
    return run(*options, given);
  };
  return verb;
}

}  // namespace slopewise
