// `slopewise rerun`: a run once more, with the options it left in its directory.
#include <filesystem>
#include <memory>

#include "apps/config.hpp"
#include "apps/verb.hpp"
#include "slopewise/base/input_file.hpp"

namespace slopewise {

Verb rerun_verb(std::function<int(std::vector<std::string>)> run_words) {
  const auto directory = std::make_shared<std::string>();
  const auto rest = std::make_shared<std::vector<std::string>>();
  Verb verb{.settings = Settings("rerun"), .summary = "Repeat a run with the options in its directory's config.toml"};
  verb.settings.add("run", *directory, text("RUN"), "Directory that study, train, compare or bench has written",
                    {.positional = true, .required = true});
  verb.rest = rest;
  verb.notes = "Any option of the run's verb may follow, and is taken in place of what the run had.";
  verb.examples = {"slopewise rerun runs/study", "slopewise rerun runs/study --seed 2 --out runs/second"};
  verb.run = [=](Settings&) {
    const std::string config = (std::filesystem::path(*directory) / "config.toml").string();
    std::vector<std::string> words = {verb_of_config(read_text(config), config), "--config", config};
    words.insert(words.end(), rest->begin(), rest->end());
    return run_words(std::move(words));
  };
  return verb;
}

}  // namespace slopewise
