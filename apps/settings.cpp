#include "apps/settings.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "slopewise/base/error.hpp"
#include "slopewise/base/nearest.hpp"
#include "slopewise/base/parse.hpp"

namespace slopewise {
namespace {

std::optional<std::int64_t> exactly_whole(double value) {
  constexpr double kExact = 9007199254740992;  // 2⁵³: what is read as it may have been rounded to it
  if (!(std::abs(value) < kExact) || value != std::floor(value)) return std::nullopt;
  return static_cast<std::int64_t>(value);
}

std::optional<std::int64_t> whole_of(const Value& value) {
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX) return std::nullopt;
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (value.is_number()) return exactly_whole(value.get<double>());
  if (!value.is_string()) return std::nullopt;
  const auto& word = value.get_ref<const std::string&>();
  if (const auto whole = parse_number<std::int64_t>(word)) return whole;
  // 1e3 is exact; what has a decimal point need not be.
  if (word.find_first_not_of("0123456789eE+-") != std::string::npos) return std::nullopt;
  const auto number = parse_number<double>(word);
  return number ? exactly_whole(*number) : std::nullopt;
}

std::optional<double> number_of(const Value& value) {
  if (value.is_number()) return value.get<double>();
  return value.is_string() ? parse_number<double>(value.get_ref<const std::string&>()) : std::nullopt;
}

// As the user would write it.
std::string found(const Value& value) {
  if (value.is_string()) return fmt::format("'{}'", value.get_ref<const std::string&>());
  return to_words(value);
}

// Pairs of an option's name and a name that other programs have for it.
constexpr std::pair<std::string_view, std::string_view> kOtherNames[] = {
    {"rate", "learning-rate"},  {"rate", "lr"},
    {"batch", "batch-size"},    {"batch", "bs"},
    {"epochs", "num-epochs"},   {"epochs", "n-epochs"},
    {"epochs", "max-epochs"},   {"steps", "max-steps"},
    {"threads", "num-threads"}, {"threads", "jobs"},
    {"data", "dataset"},        {"data", "data-dir"},
    {"hidden", "hidden-sizes"}, {"out", "output"},
    {"out", "output-dir"},      {"out", "out-dir"},
    {"out", "outdir"},          {"tangents", "num-tangents"},
    {"tangents", "directions"}, {"tangents", "perturbations"},
    {"samples", "num-samples"}, {"color", "colour"},
    {"initial", "parameters"},  {"initial", "weights"},
    {"optimizer", "optimiser"}, {"optimizer", "opt"},
    {"optimizer", "optim"},     {"weight-decay", "wd"},
    {"seed", "random-seed"},    {"seed", "random-state"},
    {"overwrite", "force"},     {"model", "arch"},
    {"model", "network"},
};

// Options that other programs have and none of ours stands for, and what to do in their place with an option of ours.
struct InItsPlace {
  std::string_view word, option, what;
};
constexpr std::string_view kProcessor = "the processor does the work; --threads says on how many cores";
constexpr std::string_view kLayers = "--hidden 256,256 says how wide each hidden layer is";
constexpr std::string_view kWeights = "--initial FILE starts from weights, --resume DIR goes on with a run";
constexpr InItsPlace kInItsPlace[] = {
    {"device", "threads", kProcessor},
    {"gpu", "threads", kProcessor},
    {"gpus", "threads", kProcessor},
    {"cuda", "threads", kProcessor},
    {"cpu", "threads", kProcessor},
    {"activation", "model", "networks by name have ReLU; --model takes others as ONNX files"},
    {"layers", "hidden", kLayers},
    {"depth", "hidden", kLayers},
    {"width", "hidden", kLayers},
    {"load", "resume", kWeights},
    {"checkpoint", "resume", kWeights},
    {"checkpoint-dir", "out", "--out DIR is where a run keeps its checkpoint"},
    {"pretrained", "initial", "--initial FILE starts from weights, --model takes an ONNX file with its own"},
    {"method", "estimator", "--estimator says how the gradient is made"},
    {"dtype", "precision", "--precision says in what numbers to compute"},
    {"verbose", "quiet", "progress is shown on a terminal unless --quiet"},
};

std::vector<std::string> split(const std::string& word) {
  std::vector<std::string> items;
  for (std::size_t from = 0; from != std::string::npos;) {
    const std::size_t comma = word.find(',', from);
    items.push_back(word.substr(from, comma == std::string::npos ? comma : comma - from));
    from = comma == std::string::npos ? comma : comma + 1;
  }
  return items;
}

}  // namespace

Kind whole(std::int64_t least, std::int64_t most, std::string label) {
  const std::string range = fmt::format("{} to {}", least, most);
  return {.label = std::move(label), .names = {}, .range = range, .check = [=](const Value& value) {
            const auto number = whole_of(value);
            if (!number || *number < least || *number > most)
              throw ArgumentError(fmt::format("expected a whole number from {}, found {}", range, found(value)));
            return Value(*number);
          }};
}

Kind number(double least, double most, std::string label) {
  const std::string range = fmt::format("{} to {}", least, most);
  return {.label = std::move(label), .names = {}, .range = range, .check = [=](const Value& value) {
            const auto number = number_of(value);
            if (!number || !(*number >= least && *number <= most))
              throw ArgumentError(fmt::format("expected a number from {}, found {}", range, found(value)));
            return Value(*number);
          }};
}

Kind number_or(const std::string& word, double least, double most) {
  Kind kind = number(least, most, "X|" + word);
  kind.names = {word};
  kind.check = [=, check = kind.check, range = kind.range](const Value& value) {
    if (value == word) return value;
    if (!number_of(value))
      throw ArgumentError(fmt::format("expected a number from {}, or {}, found {}", range, word, found(value)));
    return check(value);
  };
  return kind;
}

Kind with_unit(std::string label, std::vector<std::pair<std::string, double>> units, double least, double most) {
  std::string names;
  for (const auto& [name, factor] : units) names += (names.empty() ? "" : ", ") + name;
  return {.label = std::move(label), .names = {}, .range = "in " + names, .check = [=](const Value& value) {
            const std::string word = to_words(value);
            const std::size_t digits = std::min(word.find_last_of("0123456789.") + 1, word.size());
            const auto number = parse_number<double>(word.substr(0, digits));
            for (const auto& [name, factor] : units) {
              const bool unit = word.substr(digits) == name || (digits == word.size() && factor == 1);
              if (number && unit && *number * factor >= least && *number * factor <= most)
                return Value(*number * factor);
            }
            throw ArgumentError(
                fmt::format("expected a number from {:g} to {:g} in {}, found '{}'", least, most, names, word));
          }};
}

Kind bytes() {
  constexpr double kKiB = 1024;
  Kind kind = with_unit("BYTES", {{"B", 1}, {"KiB", kKiB}, {"MiB", kKiB * kKiB}, {"GiB", kKiB * kKiB * kKiB}}, 0, 1e15);
  kind.check = [check = kind.check](const Value& value) {
    return Value(static_cast<std::int64_t>(check(value).get<double>()));
  };
  return kind;
}

Kind text(std::string label) {
  return {.label = std::move(label), .names = {}, .range = {}, .check = [](const Value& value) {
            if (!value.is_string()) throw ArgumentError(fmt::format("expected text in quotes, found {}", found(value)));
            return value;
          }};
}

Kind one_of(std::vector<std::string> names, std::map<std::string, std::string> others) {
  Kind kind = text("NAME");
  kind.names = std::move(names);
  kind.check = [names = kind.names, others = std::move(others)](const Value& value) {
    const auto other = others.find(to_words(value));
    const std::string word = other == others.end() ? to_words(value) : other->second;
    if (std::ranges::find(names, word) == names.end()) {
      throw ArgumentError(
          fmt::format("expected one of {}, found {}{}", fmt::join(names, ", "), found(value), suggestion(word, names)));
    }
    return Value(word);
  };
  return kind;
}

Kind text_like(std::string label, std::vector<std::string> names) {
  Kind kind = text(std::move(label));
  kind.names = std::move(names);
  return kind;
}

std::string Setting::label() const {
  if (!list) return kind.label;
  return traits.positional ? kind.label + "..." : kind.label + ",...";
}

Value Setting::value() const {
  const Value now = read();
  const bool nothing = (now.is_string() || now.is_array()) && now.empty();
  return nothing || (!traits.otherwise.empty() && now == standard) ? Value() : now;
}

void Setting::set(const Value& given_value) {
  if (!list) {
    if (given_value.is_structured())
      throw ArgumentError(fmt::format("expected one value, found {}", given_value.dump()));
    write(kind.check(given_value));
  } else {
    std::vector<Value> items;
    if (given_value.is_array()) {
      items.assign(given_value.begin(), given_value.end());
    } else if (given_value.is_string() && !traits.positional) {
      for (const std::string& item : split(given_value.get<std::string>())) items.emplace_back(item);
    } else {
      items.push_back(given_value);
    }
    if (items.empty()) throw ArgumentError("expected a list of at least one, found none");
    Value checked = Value::array();
    for (const Value& item : items) {
      if (item.is_structured()) throw ArgumentError(fmt::format("expected a list, found {}", given_value.dump()));
      if (item == "") throw ArgumentError(fmt::format("expected a list without gaps, found {}", found(given_value)));
      checked.push_back(kind.check(item));
    }
    write(checked);
  }
  given = true;
}

void Setting::set_words(const std::vector<std::string>& words) {
  if (!list && words.size() > 1)
    throw ArgumentError(fmt::format("expected once, found it {} times: {}", words.size(), fmt::join(words, ", ")));
  if (!list) {
    set(words.front());
  } else if (traits.positional) {
    set(Value(words));
  } else {
    set(fmt::format("{}", fmt::join(words, ",")));
  }
}

std::string display_name(const Setting& setting) {
  return setting.traits.positional ? setting.kind.label : "--" + setting.name;
}

std::string to_words(const Value& value) {
  if (value.is_null()) return {};
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return fmt::format("{}", value.get<double>());
  if (!value.is_array()) return value.dump();
  std::vector<std::string> items;
  for (const Value& item : value) items.push_back(to_words(item));
  return fmt::format("{}", fmt::join(items, ","));
}

void Settings::begin(std::string group, Part part) {
  group_ = std::move(group);
  part_ = part;
}

Setting& Settings::add(std::string name, std::function<Value()> read, std::function<void(const Value&)> write,
                       Kind kind, std::string help, SettingTraits traits, bool list) {
  Value standard = read();
  all_.push_back({.name = std::move(name),
                  .kind = std::move(kind),
                  .help = std::move(help),
                  .traits = traits,
                  .group = group_,
                  .part = traits.part.value_or(part_),
                  .list = list,
                  .read = std::move(read),
                  .write = std::move(write),
                  .standard = std::move(standard)});
  return all_.back();
}

Setting& Settings::flag(std::string name, bool& value, std::string help, SettingTraits traits) {
  const auto check = [](const Value& given) {
    if (given.is_boolean()) return given;
    if (given != "true" && given != "false")
      throw ArgumentError(fmt::format("expected true or false, found {}", found(given)));
    return Value(given == "true");
  };
  return add(std::move(name), value, {.label = {}, .names = {}, .range = {}, .check = check}, std::move(help), traits);
}

Setting* Settings::find(std::string_view name) {
  for (Setting& setting : all_) {
    if (setting.name == name) return &setting;
  }
  for (const auto& [own, other] : kOtherNames) {
    if (other == name) {
      const auto found = std::ranges::find(all_, own, &Setting::name);
      return found == all_.end() ? nullptr : &*found;
    }
  }
  return nullptr;
}

Setting& Settings::at(std::string_view name) {
  if (Setting* setting = find(name)) return *setting;
  throw Error(fmt::format("no option is called {}", name));
}

std::string Settings::suggestion(std::string_view word) const {
  const std::string dashes = word.starts_with('-') ? "--" : "";
  const std::string_view bare = word.substr(std::min(word.find_first_not_of('-'), word.size()));
  for (const InItsPlace& other : kInItsPlace) {
    if (other.word == bare && find(other.option)) return fmt::format("; {}", other.what);
  }
  std::vector<std::string> names;
  for (const Setting& setting : all_) {
    if (setting.traits.positional || setting.traits.hidden) continue;
    names.push_back(setting.name);
    for (const std::string& other : other_names(setting.name)) names.push_back(other);
  }
  const std::optional<std::string> nearest = slopewise::nearest(bare, names);
  return nearest ? fmt::format("; did you mean {}{}?", dashes, *nearest) : "";
}

std::vector<std::string> other_names(std::string_view name) {
  std::vector<std::string> others;
  for (const auto& [own, other] : kOtherNames) {
    if (own == name) others.emplace_back(other);
  }
  return others;
}

void require_resumable(const Settings& settings) {
  std::vector<std::string> allowed;
  for (const Setting& setting : settings.all()) {
    if (setting.traits.resumable && setting.name != "resume") allowed.push_back("--" + setting.name);
  }
  for (const Setting& setting : settings.all()) {
    if (!setting.given || setting.traits.resumable) continue;
    throw ArgumentError(fmt::format("--resume goes on with the run's own options: expected only {} beside it, found {}",
                                    fmt::join(allowed, ", "), display_name(setting)));
  }
}

void require_unused_unless(bool holds, const Setting& setting, const std::string& condition) {
  if (setting.given && !holds)
    throw ArgumentError(fmt::format("{}: expected only with {}", display_name(setting), condition));
}

void require_standard_unless(bool holds, const Setting& setting, const std::string& condition) {
  require_unused_unless(holds || setting.read() == setting.standard, setting, condition);
}

}  // namespace slopewise
