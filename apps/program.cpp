#include "apps/program.hpp"

namespace slopewise {

std::unique_ptr<Verb> make_program(CommonOptions& common, std::function<int(std::vector<std::string>)> run_words) {
  auto program = std::make_unique<Verb>(
      Verb{.settings = Settings("slopewise"),
           .summary = "Forward gradients with error bars: gradients from directional slopes, without a backward pass.",
           .notes = "Each verb explains itself: slopewise help VERB."});
  program->verbs = {study_verb(),
                    audit_verb(),
                    train_verb(),
                    compare_verb(),
                    evaluate_verb(),
                    predict_verb(),
                    gradient_verb(),
                    bench_verb(),
                    data_verb(),
                    model_verb(),
                    log_verb(),
                    replay_verb(),
                    scale_verb(),
                    report_verb(),
                    rerun_verb(std::move(run_words)),
                    completion_verb(*program),
                    manual_verb(*program)};
  add_common_options(*program, common);
  return program;
}

}  // namespace slopewise
