// `slopewise audit`: whether forward gradients are worth it for one's own model, data, machine and memory.
#include <fmt/format.h>

#include <cmath>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/arguments.hpp"
#include "apps/config.hpp"
#include "apps/run_directory.hpp"
#include "apps/train/task.hpp"
#include "apps/verb.hpp"
#include "apps/wire_options.hpp"
#include "slopewise/audit/audit.hpp"
#include "slopewise/base/atomic_file.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/parse.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/base/version.hpp"
#include "slopewise/report/audit_text.hpp"
#include "slopewise/report/json.hpp"
#include "slopewise/report/page.hpp"
#include "slopewise/report/progress.hpp"
#include "slopewise/tensor/machine.hpp"
#include "slopewise/train/evaluation.hpp"

namespace slopewise {
namespace {

using Json = nlohmann::ordered_json;

struct AuditSettings {
  TrainOptions train;  // the task's; how gradients are made is what is asked
  AuditOptions audit;
  Index memory = 0;
  bool forward_only = false, no_verify = false, json = false, no_report = false;
  RunDirectoryOptions directory;
};

// What `slopewise train` is told of the task, as it was given here.
std::string task_words(const Settings& given, const Settings& train, bool head) {
  std::string words;
  for (const Setting& setting : given.all()) {
    if (!setting.given || !train.find(setting.name) || !is_of_task(setting)) continue;
    if (head && setting.name == "train") continue;
    const Value value = setting.read();
    if (setting.is_flag()) {
      words += value == true ? " --" + setting.name : "";
    } else {
      words += fmt::format(" --{} {}", setting.name, shell_word(to_words(value)));
    }
  }
  if (given.given("seed")) words += fmt::format(" --seed {}", to_words(given.at("seed").read()));
  return words;
}

std::string command_of(const Choice& choice, const Settings& given, const Settings& train) {
  const bool head = choice.options.starts_with("--train head");
  return fmt::format("slopewise train{} {} --optimizer sgd --schedule constant --rate {:.3g}",
                     task_words(given, train, head), choice.options, choice.rate);
}

// Where the top alone trains; of a file from the weights there.
std::vector<NetworkTop> tops_of(const TrainOptions& options, const std::optional<OnnxNetwork>& model,
                                const Network& network, bool forward_only) {
  if (!model) return tops_of(network);
  if (!options.initial.empty()) return {};
  return onnx_tops(*model->model, training_options(options.onnx), onnx_loss_options(options.onnx),
                   forward_only ? 0 : kMostTopBlocks);
}

int run(AuditSettings& options, Settings& given, Settings& train) {
  apply(options.train.run);
  options.audit.verify = !options.no_verify;
  for (const Setting& setting : given.all()) {
    if (is_of_task(setting)) train.at(setting.name).given = setting.given;
  }
  const TrainSettings settings = resolve(options.train, train);
  const RunDirectory held(options.directory, kAuditDirectory);
  const std::filesystem::path& directory = held.path();
  if (is_onnx(options.train.model)) held.require_kept(options.train.model);
  const std::optional<OnnxNetwork> model = open_model(options.train);
  DataSplit data = load_data(options.train, model);
  data.test = reference_set(data.train, settings.batch, settings.seed);
  const Network network = network_of(settings, data, model);
  const AuditTask task{.data = data,
                       .network = network,
                       .local = model || !options.train.initial.empty()
                                    ? std::nullopt
                                    : local_network(settings.network, data.train.image_shape, target_of(data.train)),
                       .tops = tops_of(options.train, model, network, options.forward_only),
                       .batch = settings.batch,
                       .seed = settings.seed,
                       .weights = options.train.initial,
                       .memory = options.memory,
                       .forward_only = options.forward_only};
  AuditResult result;
  {
    Progress progress("audit", 1, {.quiet = options.train.run.quiet});
    result = run_audit(task, options.audit,
                       {.begins = [&](const std::string& what) { progress.note(what); },
                        .advances = [&](double share) { progress.advance(share); }});
  }
  Json document = audit_document(task, options.audit, result);
  const auto add_command = [&](const char* which, const std::optional<Choice>& choice) {
    if (choice) document["recommendation"][which]["command"] = command_of(*choice, given, train);
  };
  add_command("best", result.recommendation.best);
  add_command("second", result.recommendation.second);
  document["model"] = options.train.model;
  document["data"] = data.train.name;
  document["options"] = config_object(given);
  document["command"] = command_line();
  document["version"] = version();
  document["threads"] = thread_count();
  document["machine"] = describe_machine();
  held.clear();
  write_config(directory, given);
  write_json(directory / "audit.json", document);
  if (!options.no_report)
    write_text(directory / "report.html", audit_page(std::vector{AuditFiles{directory, document}}));
  if (options.json) {
    std::cout << document.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
    return 0;
  }
  if (options.train.run.quiet) return 0;
  std::cout << audit_text(document) << fmt::format("\nEvery figure: {}\n", (directory / "audit.json").string());
  if (!options.no_report) std::cout << fmt::format("Charts: {}\n", (directory / "report.html").string());
  return 0;
}

}  // namespace

Verb audit_verb() {
  const auto options = std::make_shared<AuditSettings>();
  const auto train = std::make_shared<Settings>(train_settings(options->train));
  Verb verb{.settings = Settings("audit"),
            .summary =
                "Say how to train a model within your memory: with forward gradients or by backprop, how fast, "
                "and at which rate"};
  verb.notes =
      "Measures noise, curvature and costs at the weights as they are, predicts from them what a step of each method "
      "does, tries the best, and recommends one with the command that does it.";
  Settings& settings = verb.settings;
  for (const Setting& setting : train->all()) {
    if (is_of_task(setting)) settings.add(setting);
  }
  settings.begin("What is asked");
  settings.add("memory", options->memory, bytes(), "Memory of a run with its weights, beside data; 0: any");
  settings.add("time", options->audit.seconds, with_unit("SECONDS", {{"s", 1}, {"min", 60}, {"h", 3600}}, 1, 1e6),
               "How long the audit may take, about");
  settings.add("samples", options->audit.samples, whole(8, 1'000'000), "Tangents that means are over");
  settings.add("batches", options->audit.batches, whole(1, 1'000'000'000), "Other batches whose memory is planned",
               {.otherwise = "none"});
  settings.add("try", options->audit.tried, text("METHOD"), "Methods to try beside backprop, as the table names them",
               {.otherwise = "the best few"});
  settings.add("ranks", options->audit.ranks, whole(1, 1'000'000), "Ranks by which a step of weights is looked at",
               {.otherwise = "none"});
  add_wire_options(settings, options->audit.wire);
  settings.flag("forward-only", options->forward_only, "Measure by slopes alone, without any backward pass");
  settings.flag("no-verify", options->no_verify, "Try nothing: the answer rests on predictions");
  settings.begin("");
  add_run_directory_options(settings, options->directory, kAuditDirectory);
  settings.flag("json", options->json, "Print audit.json instead of the tables");
  settings.flag("no-report", options->no_report, "Write no report.html");
  add_run_options(settings, options->train.run);
  verb.examples = {"slopewise audit --data mnist --memory 4MiB",
                   "slopewise audit --model model.onnx --data data.npz --train lora:8 --memory 200MiB --time 10min"};
  verb.run = [options, train](Settings& given) { return run(*options, given, *train); };
  return verb;
}

}  // namespace slopewise
