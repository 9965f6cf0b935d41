// The options of a verb as a table. Each is said once; the command line, files of options, what a run directory keeps,
// help, completion and manual pages all go by it.
#pragma once

#include <concepts>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace slopewise {

// A value in its type: number, truth value, text or a list of those; null where there is none.
using Value = nlohmann::ordered_json;

// What one value may be.
struct Kind {
  std::string label;               // what stands for it in help, "FILE"; empty for a flag
  std::vector<std::string> names;  // what it takes, or may take, by name
  std::string range;               // "0 to 1", if it takes numbers
  // Takes a word of the command line, as text, or what a file has, in its type. Returns it in its own type, or throws
  // ArgumentError: "expected ..., found ...".
  std::function<Value(const Value&)> check;
};

// Whole numbers, also as 1e3, always decimal. Neither takes a NaN or an infinity.
Kind whole(std::int64_t least, std::int64_t most, std::string label = "N");
Kind number(double least, double most, std::string label = "X");
// Numbers with one of the units, of which that of the factor 1 may be left out, as what they stand for; of bytes whole
// ones.
Kind with_unit(std::string label, std::vector<std::pair<std::string, double>> units, double least, double most);
Kind bytes();
// Those and one word, "auto".
Kind number_or(const std::string& word, double least, double most);
// Anything.
Kind text(std::string label);
// One of the names, or what others call one of them; for another word the nearest is suggested.
Kind one_of(std::vector<std::string> names, std::map<std::string, std::string> others = {});
// Any text; completion offers the names.
Kind text_like(std::string label, std::vector<std::string> names);

// What a comparison of runs makes of an option of `slopewise train`.
enum class Part {
  kTask,    // makes the task: the same for all that are compared
  kShared,  // one for all if the comparison is given it, else each one's own
  kMethod,  // is what is compared
  kRun      // means something for a single run alone
};

struct SettingTraits {
  char letter = 0;               // 'q': -q
  std::string_view otherwise{};  // what holds where nothing is given, if the value itself does not say it
  std::string_view excludes{};   // an option that is not given beside it
  bool positional = false;
  bool required = false;
  bool rare = false;           // in --help-all only
  bool hidden = false;         // in no help at all
  bool in_files = true;        // kept in a run's config.toml and taken from --config
  bool resumable = false;      // may be given beside --resume
  std::optional<Part> part{};  // its heading's, if it says none
};

// One option.
struct Setting {
  std::string name;  // without dashes
  Kind kind;
  std::string help;
  SettingTraits traits;
  std::string group;  // the heading it stands under
  Part part = Part::kRun;
  bool list = false;
  bool given = false;  // by the command line, a file or a preset
  std::function<Value()> read;
  std::function<void(const Value&)> write;
  Value standard;  // its value before anything is given

  bool is_flag() const { return kind.label.empty(); }
  // "N,..." of a list.
  std::string label() const;
  // As it stands; null where that is what `otherwise` says, or nothing.
  Value value() const;
  // Sets it to a value in its type or to a word for one. Throws ArgumentError, without its name.
  void set(const Value& value);
  // The same for all the words it was given on the command line.
  void set_words(const std::vector<std::string>& words);
};

// "--batch" or, of a positional, "ROW": as messages name it.
std::string display_name(const Setting& setting);

// "16,16", "0.001", "" of null: as the command line takes it.
std::string to_words(const Value& value);

class Settings {
 public:
  explicit Settings(std::string verb) : verb_(std::move(verb)) {}
  const std::string& verb() const { return verb_; }

  // Those added next stand under the heading, and are what `part` says unless they say otherwise.
  void begin(std::string group, Part part = Part::kRun);

  // Adds an option of the type of `value`, which must live as long as the table and holds the default.
  template <class T>
  Setting& add(std::string name, T& value, Kind kind, std::string help, SettingTraits traits = {}) {
    return add(
        std::move(name), [&value] { return Value(value); }, [&value](const Value& given) { value = given.get<T>(); },
        std::move(kind), std::move(help), traits,
        requires { value.push_back(value.front()); } && !std::same_as<T, std::string>);
  }
  // An option that is none of the types a Value has.
  Setting& add(std::string name, std::function<Value()> read, std::function<void(const Value&)> write, Kind kind,
               std::string help, SettingTraits traits = {}, bool list = false);
  Setting& flag(std::string name, bool& value, std::string help, SettingTraits traits = {});
  // An option of another table.
  void add(const Setting& setting) { all_.push_back(setting); }

  // By its name or one that other programs have for it (--batch-size); null where there is none.
  Setting* find(std::string_view name);
  const Setting* find(std::string_view name) const { return const_cast<Settings*>(this)->find(name); }
  // Throws Error for a name that there is not.
  Setting& at(std::string_view name);
  const Setting& at(std::string_view name) const { return const_cast<Settings*>(this)->at(name); }
  bool given(std::string_view name) const { return at(name).given; }
  // The nearest name in a message about one that there is not, with dashes as the word has: "; did you mean --batch?";
  // or what is there in the place of an option that other programs have.
  std::string suggestion(std::string_view word) const;

  std::deque<Setting>& all() { return all_; }
  const std::deque<Setting>& all() const { return all_; }

 private:
  std::string verb_;
  std::deque<Setting> all_;
  std::string group_;
  Part part_ = Part::kRun;
};

// Names that other programs have for the option, "batch-size" for "batch".
std::vector<std::string> other_names(std::string_view name);

// Throws ArgumentError for an option beside --resume that would make it another run.
void require_resumable(const Settings& settings);

// Throws ArgumentError if the option was given although it only means something with `condition`, "--model mlp".
void require_unused_unless(bool holds, const Setting& setting, const std::string& condition);
// The same, but for an option that is at its default, as a run's own file says of every option.
void require_standard_unless(bool holds, const Setting& setting, const std::string& condition);

}  // namespace slopewise
