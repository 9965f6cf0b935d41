// slopewise study: the note's claims, measured.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/arguments.hpp"
#include "apps/config.hpp"
#include "apps/onnx_options.hpp"
#include "apps/run_directory.hpp"
#include "apps/verb.hpp"
#include "slopewise/base/atomic_file.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/model/models.hpp"
#include "slopewise/report/format.hpp"
#include "slopewise/report/json.hpp"
#include "slopewise/report/notation.hpp"
#include "slopewise/report/page.hpp"
#include "slopewise/report/progress.hpp"
#include "slopewise/report/table.hpp"
#include "slopewise/report/terminal.hpp"
#include "slopewise/study/study.hpp"
#include "slopewise/tensor/machine.hpp"

namespace slopewise {
namespace {

struct Options {
  RunOptions run;
  DataOptions data;
  std::string model = "mlp";
  OnnxSettings onnx;
  std::vector<Index> hidden;  // empty: the model's own
  std::vector<std::string> claims;
  Index batch = StudyOptions{}.batch;  // 0: as many as StudyOptions says
  bool quick = false;
  bool json = false;
  bool no_report = false;
  RunDirectoryOptions directory;
};

Ink ink(Verdict verdict) {
  return verdict == Verdict::kHolds ? Ink::kGood : verdict == Verdict::kFails ? Ink::kBad : Ink::kPlain;
}

std::string table(const std::vector<ClaimOutcome>& outcomes) {
  Table table({"claim", "what is measured", "predicted", "measured", "interval", "verdict"});
  for (const ClaimOutcome& outcome : outcomes) {
    const ClaimResult& result = outcome.result;
    table.add_row(
        {outcome.claim.name, notation(result.quantity), format_range(result.predicted.low, result.predicted.high),
         format_number(result.measured), format_interval(result.low, result.high), to_string(result.verdict)},
        ink(result.verdict));
  }
  return table.to_string(is_terminal(1) ? terminal_width(1) : 0, wants_colour(1));
}

// The network of the options on its data.
StudyContext make_context(const Options& options) {
  const StudyOptions how{.batch = options.batch, .seed = options.run.seed, .quick = options.quick};
  if (is_onnx(options.model)) {
    OnnxNetwork file = open_onnx(options.model, options.onnx);
    DataSplit data = load_data(options.data, options.run.seed, data_of(*file.model, onnx_loss_options(options.onnx)),
                               DataUse::kJudgeFile);
    std::string name = options.model;
    if (options.onnx.train != "all") name += fmt::format(", training {}", options.onnx.train);
    return {how, std::move(data.train), {.name = std::move(name), .network = std::move(file.network)}};
  }
  NetworkSpec spec = named_network(options.model);
  if (!options.hidden.empty()) spec.hidden = options.hidden;
  DataSplit data = load_data(options.data, options.run.seed);
  StudyNetwork network = study_network(spec, options.model, data.train);
  return {how, std::move(data.train), std::move(network)};
}

void require_what_fits(const Options& options, const Settings& settings) {
  const bool file = is_onnx(options.model);
  require_unused_unless(!file && !named_network(options.model).hidden.empty(), settings.at("hidden"),
                        "a model with hidden layers");
  if (!file) refuse_onnx_settings(settings);
  select_claims(options.claims);
}

int run(const Options& options, const Settings& settings) {
  apply(options.run);
  // What the user asked for wrongly, and a place that cannot be written to, are known before anything is measured.
  require_what_fits(options, settings);
  const RunDirectory held(options.directory, kStudyDirectory);
  const std::filesystem::path& directory = held.path();
  if (is_onnx(options.model)) held.require_kept(options.model);
  StudyContext context = make_context(options);
  const auto [claims, left_out] = choose_questions(context, options.claims);
  held.clear();
  write_config(directory, settings);

  double total = 0;
  for (const Claim& claim : claims) total += claim.weight;
  const auto measured = [&, &asked = claims] {
    Progress progress("study", total, {.quiet = options.run.quiet});
    StudyRun found = run_until_interrupted(
        context, asked,
        {.begins = [&](const Claim& claim) { progress.note(claim.name); },
         .advances = [&](const Claim& claim, double share) { progress.advance(claim.weight * share); }});
    if (!found.interruption.empty()) progress.stop();
    return found;
  };
  const auto& [outcomes, interruption] = measured();
  nlohmann::ordered_json document = study_document(context, outcomes, left_out);
  document["command"] = command_line();
  document["threads"] = thread_count();
  document["machine"] = describe_machine();
  const std::filesystem::path results = directory / "results.json";
  write_json(results, document);
  const std::filesystem::path report = directory / "report.html";
  if (!options.no_report) write_text(report, study_page({.directory = directory, .results = document}));
  if (!interruption.empty()) {
    throw Interrupted(fmt::format("{}; {} of {} claims were measured before: {}", interruption, outcomes.size(),
                                  claims.size(), results.string()));
  }
  if (options.json) {
    std::cout << document.dump(2) << '\n';
    return 0;
  }
  if (options.run.quiet) return 0;
  std::cout << fmt::format("{}, {} parameters, {}, batch {}, seed {}\n\n", context.model_name(),
                           context.subject().size(), context.train().name, context.options().batch, options.run.seed)
            << table(outcomes) << '\n';
  for (const ClaimOutcome& outcome : outcomes) {
    if (!outcome.result.condition.empty())
      std::cout << fmt::format("{}: {}\n", outcome.claim.name, notation(outcome.result.condition));
  }
  if (!left_out.empty()) std::cout << fmt::format("\nNot asked of {}:\n", context.model_name());
  for (const LeftOut& each : left_out) std::cout << fmt::format("  {}: {}\n", each.claim.name, notation(each.reason));
  std::vector<std::string> observed;
  for (const ClaimOutcome& outcome : outcomes) {
    if (outcome.result.confidence == kObservedConfidence) observed.push_back(outcome.claim.name);
  }
  std::cout << fmt::format("\nIntervals cover {} %", 100 * kClaimConfidence);
  if (!observed.empty()) std::cout << fmt::format(", of {} {} %", fmt::join(observed, ", "), 100 * kObservedConfidence);
  std::cout << fmt::format(". Every figure and its series: {}\n", results.string());
  if (!options.no_report) std::cout << fmt::format("Charts: {}\n", report.string());
  return 0;
}

}  // namespace

Verb study_verb() {
  const auto options = std::make_shared<Options>();
  Verb verb{.settings = Settings("study"),
            .summary =
                "Measure the claims of \"Unfavorable SNR in Forward Gradients\" (Frye 2022), prediction beside "
                "measurement"};
  Settings& settings = verb.settings;
  settings.begin("What is looked at");
  add_data_options(settings, options->data);
  settings.add("model", options->model, text_like("NAME", network_names()),
               "Network that claims look at, or the ONNX file of one");
  settings.add("hidden", options->hidden, whole(1, 1 << 20), "Widths of its hidden layers",
               {.otherwise = "the model's own"});
  settings.add("batch", options->batch, whole(2, 1 << 20), "Examples of its loss",
               {.otherwise = "64, or 16 in a quick study of another network than a perceptron"});
  add_onnx_settings(settings, options->onnx, &options->data);
  settings.begin("What is asked");
  settings.add("claims", options->claims, one_of(claim_names()), "Claims to measure",
               {.otherwise = "all that the model can be asked"});
  settings.flag("quick", options->quick,
                "A tenth of the samples and smaller networks: under 20 s with the default one");
  settings.begin("");
  add_run_directory_options(settings, options->directory, kStudyDirectory);
  settings.flag("json", options->json, "Print results.json instead of the table");
  settings.flag("no-report", options->no_report, "Write no report.html");
  add_run_options(settings, options->run);
  verb.examples = {"slopewise study", "slopewise study --claims unbiased,variance-law --quick --out runs/first-look",
                   "slopewise study --model model.onnx --data data.npz --train norms --quick"};
  verb.run = [options](Settings& given) { return run(*options, given); };
  return verb;
}

}  // namespace slopewise
