#include "slopewise/data/targets.hpp"
#include "slopewise/data/scaling.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "slopewise/base/error.hpp"
#include "slopewise/base/parse.hpp"

namespace slopewise::detail {
namespace {

// Whole numbers of a table are taken for classes without a word where at most so many differ, or each comes so often.
constexpr std::size_t kFewTargets = 20, kTargetsOften = 5;
// Whole numbers that are no places from 0 on, such as −1 and 1, or 0, 10 and 20, are names of classes up to so many.
constexpr std::size_t kMostNamed = 1000;

bool whole(double x) {
  return x == std::trunc(x) && std::abs(x) < 0x1p53;
}

// All distinct numbers of the sets, but for the label that stands for none.
std::set<double> distinct_numbers(std::span<const SetTargets> sets) {
  std::set<double> distinct;
  for (const SetTargets& one : sets) {
    if (one.raw) distinct.insert(one.raw->numbers.begin(), one.raw->numbers.end());
    if (one.set->ignored) distinct.erase(*one.set->ignored);
  }
  return distinct;
}

const RawTargets* first_of(std::span<const SetTargets> sets) {
  const auto found = std::ranges::find_if(sets, [](const SetTargets& one) { return one.raw != nullptr; });
  return found == sets.end() ? nullptr : found->raw;
}

// Whether every example has as many numbers, all 0 but a single 1.
bool one_hot(std::span<const SetTargets> sets) {
  const Index outputs = first_of(sets)->outputs;
  return outputs > 1 && std::ranges::all_of(sets, [&](const SetTargets& one) {
           if (!one.raw) return true;
           if (one.raw->outputs != outputs || !one.raw->names.empty()) return false;
           const auto size = static_cast<std::size_t>(outputs);
           for (std::span<const double> rest = one.raw->numbers; !rest.empty(); rest = rest.subspan(size)) {
             if (std::ranges::count(rest.first(size), 1.0) != 1 ||
                 std::ranges::count(rest.first(size), 0.0) + 1 != outputs)
               return false;
           }
           return true;
         });
}

// The places of the ones, which are names of the model's classes where it has some.
RawTargets places_of_ones(const RawTargets& raw, const Dataset* like) {
  RawTargets places{.where = raw.where};
  for (std::size_t i = 0; i < raw.numbers.size(); ++i) {
    if (raw.numbers[i] == 1) places.numbers.push_back(static_cast<double>(i % static_cast<std::size_t>(raw.outputs)));
  }
  if (like) places.names = like->class_names;
  return places;
}

TargetKind find_kind(std::span<const SetTargets> sets, const LoadOptions& options) {
  const RawTargets& raw = *first_of(sets);
  for (const SetTargets& one : sets) {
    if (one.raw && one.raw->names.empty() != raw.names.empty()) {
      throw FileError(fmt::format("{} holds {} but {} {}", raw.where, raw.names.empty() ? "numbers" : "words",
                                  one.raw->where, raw.names.empty() ? "words" : "numbers"));
    }
  }
  if (!raw.names.empty()) {
    if (options.like && options.like->outputs > 0)
      throw FileError(fmt::format("{}: expected numbers, as the model answers, found words", raw.where));
    if (options.target == TargetKind::kNumber)
      throw ArgumentError(fmt::format("--target number: expected numbers in {}, found words", raw.where));
    return TargetKind::kClass;
  }
  if (options.like && options.target) {
    const TargetKind own = options.like->classes > 0 ? TargetKind::kClass : TargetKind::kNumber;
    if (*options.target != own) {
      throw ArgumentError(fmt::format("--target: expected {}, as the model answers, found {}",
                                      own == TargetKind::kClass ? "class" : "number",
                                      own == TargetKind::kClass ? "number" : "class"));
    }
  }
  if (options.target) return *options.target;
  if (options.like) return options.like->classes > 0 ? TargetKind::kClass : TargetKind::kNumber;
  if (one_hot(sets)) {
    throw ArgumentError(fmt::format(
        "{}: {} numbers an example, all 0 but a single 1, may be a class or numbers to predict: say --target "
        "class or number",
        raw.where, raw.outputs));
  }
  if (raw.outputs > 1) return TargetKind::kNumber;
  const std::set<double> distinct = distinct_numbers(sets);
  if (!std::ranges::all_of(distinct, whole)) return TargetKind::kNumber;
  const std::size_t count = raw.numbers.size();
  const bool table = sets.front().set->image_shape.rank() == 1;  // what images show is seldom a number
  if (raw.floating || (table && distinct.size() > kFewTargets && distinct.size() * kTargetsOften > count)) {
    throw ArgumentError(fmt::format(
        "{}: {} different whole numbers{} in {} examples may be classes or numbers to predict: say --target "
        "class or number",
        raw.where, distinct.size(), raw.floating ? " of a floating type" : "", count));
  }
  return TargetKind::kClass;
}

// The place of a name among a set's classes.
std::int32_t place_of(const std::string& name, const std::vector<std::string>& names, const std::string& where) {
  const auto found = std::ranges::find(names, name);
  if (found == names.end()) {
    throw FileError(fmt::format("{}: found the class {:?}, expected one of {}", where, name.substr(0, 40),
                                fmt::join(std::span(names).first(std::min<std::size_t>(names.size(), 20)), ", ")));
  }
  return static_cast<std::int32_t>(found - names.begin());
}

// Gives every number a class by its name; of a model that knows none, all its `classes` must be named.
void set_named(std::span<const SetTargets> sets, const std::vector<std::string>& names, int classes = 0) {
  if (classes > 0 && std::ssize(names) != classes) {
    throw FileError(
        fmt::format("{}: found the names of {} classes, expected all {} that the model answers with, or numbers from 0",
                    first_of(sets)->where, names.size(), classes));
  }
  for (const SetTargets& one : sets) {
    one.set->class_names = names;
    one.set->classes = static_cast<int>(names.size());
    if (!one.raw) continue;
    std::map<double, std::int32_t> places;
    for (const double number : one.raw->numbers) {
      const auto [place, fresh] = places.try_emplace(number);
      if (fresh) {
        const std::string name =
            one.raw->names.empty() ? fmt::format("{:.0f}", number) : one.raw->names[static_cast<std::size_t>(number)];
        place->second = place_of(name, names, one.raw->where);
      }
      one.set->labels.push_back(place->second);
    }
  }
}

// Whether the names are those of whole numbers, as a set of such labels has been given.
bool name_numbers(const std::vector<std::string>& names) {
  return !names.empty() && std::ranges::all_of(names, [](const std::string& name) {
    const std::optional<std::int64_t> number = parse_number<std::int64_t>(name);
    return number && std::to_string(*number) == name;
  });
}

void set_classes(std::span<const SetTargets> sets, int classes, const std::vector<std::string>& class_names,
                 const Dataset* like) {
  const RawTargets& raw = *first_of(sets);
  const Shape& places_of_labels = sets.front().set->label_shape;
  for (const SetTargets& one : sets) {
    if (!one.raw || one.raw->outputs == places_of_labels.size()) continue;
    throw FileError(fmt::format("{}: expected {}, found {} numbers", one.raw->where,
                                places_of_labels.size() == 1
                                    ? "one label an example, a number or a single 1 among zeros"
                                    : fmt::format("labels {} an example", places_of_labels.to_string()),
                                one.raw->outputs));
  }
  const std::set<double> distinct = distinct_numbers(sets);
  const bool places = std::ranges::all_of(distinct, [](double x) { return whole(x) && x >= 0 && x < kMostClasses; });
  // More classes than not would have no example.
  const bool gaps = places && !distinct.empty() && 2.0 * static_cast<double>(distinct.size()) < *distinct.rbegin() + 1;
  if (like && !like->class_names.empty() && (!raw.names.empty() || !places || name_numbers(like->class_names)))
    return set_named(sets, like->class_names);
  if (!raw.names.empty()) {
    std::set<std::string> names;
    for (const SetTargets& one : sets) {
      if (one.raw) names.insert(one.raw->names.begin(), one.raw->names.end());
    }
    return set_named(sets, {names.begin(), names.end()}, like ? like->classes : 0);
  }
  if ((!places || gaps) && !like && classes == 0 && std::ranges::all_of(distinct, whole) &&
      distinct.size() <= kMostNamed && 2 * distinct.size() <= raw.numbers.size()) {
    std::vector<std::string> names;
    for (const double number : distinct) names.push_back(fmt::format("{:.0f}", number));
    return set_named(sets, names);
  }
  if (like) classes = like->classes;
  const std::int32_t most = classes > 0 ? classes : kMostClasses;
  double largest = 0;
  for (const SetTargets& one : sets) {
    if (!one.raw) continue;
    for (std::size_t i = 0; i < one.raw->numbers.size(); ++i) {
      const double label = one.raw->numbers[i];
      if (one.set->ignored && label == *one.set->ignored) {
        one.set->labels.push_back(*one.set->ignored);
        continue;
      }
      if (!whole(label) || label < 0 || label >= most) {
        throw FileError(fmt::format("{}: label {} is {:g}, expected a whole number from 0 to {}", one.raw->where, i,
                                    label, most - 1));
      }
      one.set->labels.push_back(static_cast<std::int32_t>(label));
      largest = std::max(largest, label);
    }
  }
  for (const SetTargets& one : sets) {
    one.set->classes = classes > 0 ? classes : static_cast<int>(largest) + 1;
    one.set->class_names = like ? like->class_names : class_names;
  }
}

void set_one_hot(std::span<const SetTargets> sets, const Dataset* like) {
  const RawTargets& first = *first_of(sets);
  if (like && like->classes != first.outputs) {
    throw FileError(
        fmt::format("{}: a single 1 among {} numbers an example, expected {}, the classes that the model answers "
                    "with",
                    first.where, first.outputs, like->classes));
  }
  std::vector<RawTargets> places;
  places.reserve(sets.size());  // they are pointed to
  std::vector<SetTargets> plain(sets.begin(), sets.end());
  for (SetTargets& one : plain) {
    if (one.raw) one.raw = &places.emplace_back(places_of_ones(*one.raw, like));
  }
  set_classes(plain, static_cast<int>(first.outputs), {}, like);
}

void set_numbers(std::span<const SetTargets> sets) {
  const RawTargets& first = *first_of(sets);
  for (const SetTargets& one : sets) {
    one.set->outputs = first.outputs;
    if (!one.raw) continue;
    if (one.raw->outputs != first.outputs) {
      throw FileError(fmt::format("{}: {} numbers to predict an example, expected {} as in {}", one.raw->where,
                                  one.raw->outputs, first.outputs, first.where));
    }
    for (std::size_t i = 0; i < one.raw->numbers.size(); ++i) {
      if (!std::isfinite(one.raw->numbers[i])) {
        throw FileError(
            fmt::format("{}: number {} is {}, expected a finite one", one.raw->where, i, one.raw->numbers[i]));
      }
    }
  }
}

}  // namespace

void set_targets(std::span<const SetTargets> sets, int classes, const std::vector<std::string>& class_names,
                 const LoadOptions& options) {
  for (const SetTargets& one : sets) {
    if (one.raw && std::ssize(one.raw->numbers) != one.count * one.raw->outputs) {
      throw FileError(fmt::format("{}: holds {} labels, expected {}, one an example", one.raw->where,
                                  one.raw->numbers.size() / static_cast<std::size_t>(one.raw->outputs), one.count));
    }
  }
  const bool nothing_learned = options.like && options.like->classes == 0 && options.like->outputs == 0;
  if (nothing_learned) return;
  if (!first_of(sets)) {
    if (options.labels_needed || !options.like)
      throw FileError(fmt::format("{}: found no labels", sets.front().set->name));
    for (const SetTargets& one : sets) {
      one.set->classes = options.like->classes;
      one.set->class_names = options.like->class_names;
      one.set->outputs = options.like->outputs;
    }
  } else if (find_kind(sets, options) == TargetKind::kClass) {
    if (sets.front().set->label_shape.size() == 1 && one_hot(sets)) {
      set_one_hot(sets, options.like);
    } else {
      set_classes(sets, classes, class_names, options.like);
    }
  } else {
    const RawTargets& raw = *first_of(sets);
    if (options.like && raw.outputs != options.like->outputs) {
      throw FileError(fmt::format("{}: {} numbers to predict an example, expected {}, as the model answers", raw.where,
                                  raw.outputs, options.like->outputs));
    }
    set_numbers(sets);
  }
  for (const SetTargets& one : sets) {
    if (one.raw && one.set->ignored && !one.set->labels.empty() &&
        std::ranges::count(one.set->labels, *one.set->ignored) == std::ssize(one.set->labels))
      throw FileError(fmt::format("{}: all labels are {}, which do not count", one.raw->where, *one.set->ignored));
    one.set->labelled = one.raw != nullptr;
    if (one.set->outputs == 0 && !one.raw)
      one.set->labels.assign(static_cast<std::size_t>(one.count * one.set->label_shape.size()), 0);
  }
}

namespace {

// Calls visit(output, number) for the numbers of the rows that a set selects, in its order.
template <class Visit>
void visit_numbers(const SetTargets& one, Visit visit) {
  const std::vector<Index>& selection = one.set->selection;
  const Index count = selection.empty() ? one.count : std::ssize(selection), outputs = one.set->outputs;
  for (Index i = 0; i < count; ++i) {
    const Index row = selection.empty() ? i : selection[static_cast<std::size_t>(i)];
    for (Index k = 0; k < outputs; ++k)
      visit(static_cast<std::size_t>(k), one.raw ? one.raw->numbers[static_cast<std::size_t>(row * outputs + k)] : 0);
  }
}

}  // namespace

void fill_targets(const SetTargets& one, const std::vector<double>& mean, const std::vector<double>& deviation) {
  Dataset& set = *one.set;
  set.target_mean = mean;
  set.target_deviation = deviation;
  set.targets.clear();
  visit_numbers(one, [&](std::size_t k, double number) {
    set.targets.push_back(static_cast<float>(one.raw ? (number - mean[k]) / deviation[k] : 0));
  });
}

TargetMoments target_moments(const SetTargets& one) {
  const auto outputs = static_cast<std::size_t>(one.set->outputs);
  TargetMoments moments{std::vector<double>(outputs), std::vector<double>(outputs)};
  double count = 0;
  visit_numbers(one, [&](std::size_t k, double number) {
    count += k == 0;
    moments.mean[k] += number;
  });
  for (double& mean : moments.mean) mean /= count;
  visit_numbers(one, [&](std::size_t k, double number) {
    moments.deviation[k] += (number - moments.mean[k]) * (number - moments.mean[k]);
  });
  for (std::size_t k = 0; k < outputs; ++k)
    moments.deviation[k] = scale_of(moments.mean[k], std::sqrt(moments.deviation[k] / count));
  return moments;
}

}  // namespace slopewise::detail
