// `slopewise rerun`: a run once more, with the options it left in its directory.
#include <algorithm>
#include <filesystem>
#include <memory>

#include "apps/config.hpp"
#include "apps/verb.hpp"
#include "slopewise/base/input_file.hpp"

namespace slopewise {
namespace {

// Whether the words give the run a directory of its own, under any name of --out.
bool names_directory(const std::vector<std::string>& words) {
  std::vector<std::string> names = other_names("out");
  names.emplace_back("out");
  return std::ranges::any_of(words, [&](const std::string& word) {
    const bool is_long = word.starts_with("--");
    return is_long ? std::ranges::find(names, word.substr(2, word.find('=') - 2)) != names.end()
                   : word.starts_with("-o");
  });
}

}  // namespace

Verb rerun_verb(std::function<int(std::vector<std::string>)> run_words) {
  const auto directory = std::make_shared<std::string>();
  const auto rest = std::make_shared<std::vector<std::string>>();
  Verb verb{.settings = Settings("rerun"), .summary = "Repeat a run with the options in its directory's config.toml"};
  verb.settings.add("run", *directory, text("RUN"), "Directory that study, train, compare or bench has written",
                    {.positional = true, .required = true});
  verb.rest = rest;
  verb.notes =
      "Any option of the run's verb may follow, and is taken in place of what the run had. Without --out the directory "
      "is the run's with a number after it, runs/study-2, or with --overwrite the run's.";
  verb.examples = {"slopewise rerun runs/study", "slopewise rerun runs/study --seed 2 --out runs/second"};
  verb.run = [=](Settings&) {
    const std::filesystem::path run = *directory;
    const std::string config = (run / "config.toml").string();
    std::vector<std::string> words = {verb_of_config(read_text(config), config), "--config", config};
    words.insert(words.end(), rest->begin(), rest->end());
    if (!names_directory(*rest)) {
      // "runs/study/", "." and ".." have no name that a number could follow.
      const bool is_named = run.has_filename() && run.filename() != "." && run.filename() != "..";
      const std::filesystem::path named = is_named ? run : std::filesystem::canonical(run);
      words.insert(words.end(), {"--out", named.string()});
      if (std::ranges::find(*rest, "--overwrite") == rest->end()) words.emplace_back("--beside");
    }
    return run_words(std::move(words));
  };
  return verb;
}

}  // namespace slopewise
