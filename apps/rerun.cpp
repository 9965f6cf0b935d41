// `slopewise rerun`: a run once more, with the options it left in its directory.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>

#include "apps/config.hpp"
#include "apps/verb.hpp"

namespace slopewise {

Verb add_rerun(CLI::App& app, std::function<int(std::vector<std::string>)> run_words) {
  CLI::App* command = app.add_subcommand("rerun", "Repeat a run with the options in its directory's config.toml");
  const auto directory = std::make_shared<std::string>();
  command->add_option("RUN", *directory, "Directory that study, train, compare or bench has written")
      ->required()
      ->type_name("DIR");
  command->allow_extras();
  command->footer(
      "Any option of the run's verb may follow, and is taken in place of what the run had.\n\n"
      "Examples:\n"
      "  slopewise rerun runs/study\n"
      "  slopewise rerun runs/study --seed 2 --out runs/second");
  return {command, [=] {
            const std::string config = (std::filesystem::path(*directory) / "config.toml").string();
            std::vector<std::string> words = {verb_of_config(read_text(config), config), "--config", config};
            for (const std::string& word : command->remaining()) words.push_back(word);
            return run_words(std::move(words));
          }};
}

}  // namespace slopewise
