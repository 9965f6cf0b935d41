// A verb of the command line: `slopewise study`, `slopewise gradient`, … One file a verb.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/settings.hpp"

namespace slopewise {

struct Verb {
  Settings settings;    // with its name
  std::string summary;  // in one sentence
  std::string notes = {};
  std::vector<std::string> examples = {};
  // Does the work once the settings are set; returns the exit code: 0 done, 1 the work failed. May throw; main reports
  // it. Empty where only its verbs do something.
  std::function<int(Settings&)> run = {};
  std::vector<Verb> verbs = {};
  // Takes what is none of its options; null: that is refused.
  std::shared_ptr<std::vector<std::string>> rest = nullptr;
  std::string path = {};  // "slopewise data show"

  const std::string& name() const { return settings.verb(); }
};

// What options are bound to must live as long as the verb (a shared_ptr captured by `run`).
Verb audit_verb();
Verb bench_verb();
Verb compare_verb();
// `program`: the verb that holds all others.
Verb completion_verb(const Verb& program);
Verb data_verb();
Verb evaluate_verb();
Verb gradient_verb();
Verb log_verb();
Verb manual_verb(const Verb& program);
Verb model_verb();
Verb predict_verb();
Verb replay_verb();
Verb report_verb();
// `run_words` runs another command line, given without the program's name.
Verb rerun_verb(std::function<int(std::vector<std::string>)> run_words);
Verb scale_verb();
Verb study_verb();
Verb train_verb();

}  // namespace slopewise
