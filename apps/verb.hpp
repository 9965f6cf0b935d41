// A verb of the command line: `slopewise study`, `slopewise gradient`, … One file a verb.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace slopewise {

struct Verb {
  CLI::App* command;         // its subcommand, with options bound to what `run` reads
  std::function<int()> run;  // does the work after parsing; returns the exit code: 0 done, 1 the work failed
};

// Each adds its subcommand to the app, with a description, options and a footer of examples. What options are bound to
// must live as long as the verb (a shared_ptr captured by `run`). `run` may throw; main reports it.
// CLI::PositiveNumber and its like complain with a bound of 300 digits: use CLI::Range with a bound that means
// something.
Verb add_bench(CLI::App& app);
Verb add_compare(CLI::App& app);
Verb add_completion(CLI::App& app);
Verb add_data(CLI::App& app);
Verb add_gradient(CLI::App& app);
Verb add_manual(CLI::App& app);
Verb add_report(CLI::App& app);
// `run_words` runs another command line, given without the program's name.
Verb add_rerun(CLI::App& app, std::function<int(std::vector<std::string>)> run_words);
Verb add_study(CLI::App& app);
Verb add_train(CLI::App& app);

}  // namespace slopewise
