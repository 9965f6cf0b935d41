#include "apps/data/split.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <iostream>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <vector>

#include "apps/arguments.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/philox.hpp"
#include "slopewise/data/npz.hpp"

namespace slopewise {
namespace {

constexpr std::uint64_t kShots = 0x73686F74;

bool is_floating(const NpyReader& array) {
  return type_code(array.type())[1] == 'f';
}

// Examples that train and that test, in the file's order.
struct Parts {
  std::vector<Index> train, test;
};

constexpr std::array<std::string_view, 5> kLabels = {"y", "labels", "label", "target", "targets"};

std::vector<std::int64_t> labels_of(const NpzFile& file, const std::string& path, Index count) {
  for (const std::string_view name : kLabels) {
    if (file.contains(std::string(name))) return file.read<std::int64_t>(std::string(name), Shape{count});
  }
  throw FileError(fmt::format("{}: expected an array y of labels, of which each class gives --shots", path));
}

// So many of each class, drawn from the seed.
std::set<Index> draw(const std::vector<Index>& own, const std::vector<std::int64_t>& labels,
                     const SplitOptions& options) {
  std::map<std::int64_t, std::vector<Index>> of_class;
  for (const Index i : own) of_class[labels[i]].push_back(i);
  RandomStream random(options.seed, kShots);
  std::set<Index> drawn;
  for (auto& [label, examples] : of_class) {
    if (std::ssize(examples) <= options.shots) {
      throw ArgumentError(
          fmt::format("--shots: expected fewer than the {} examples of class {} that are held out, found {}",
                      examples.size(), label, options.shots));
    }
    for (std::int64_t k = 0; k < options.shots; ++k) {
      const auto rest = static_cast<std::uint32_t>(std::ssize(examples) - k);
      std::swap(examples[k], examples[static_cast<std::size_t>(k) + random.below(rest)]);
      drawn.insert(examples[k]);
    }
  }
  return drawn;
}

Parts parts_of(const NpzFile& file, const SplitOptions& options, const std::vector<std::int64_t>& whose) {
  std::vector<Index> own, others;
  for (Index i = 0; i < std::ssize(whose); ++i) (whose[i] == options.held_out ? own : others).push_back(i);
  if (own.empty() || others.empty()) {
    const std::set<std::int64_t> all(whose.begin(), whose.end());
    throw ArgumentError(
        fmt::format("--held-out: expected one of {} in '{}', from {} to {}, and others beside it, found {}", all.size(),
                    options.by, *all.begin(), *all.rbegin(), options.held_out));
  }
  if (options.shots == 0) return {others, own};
  const std::set<Index> drawn = draw(own, labels_of(file, options.file, std::ssize(whose)), options);
  Parts parts;
  for (const Index i : own) (drawn.contains(i) ? parts.train : parts.test).push_back(i);
  return parts;
}

template <class T>
void add(NpzWriter& out, const NpzFile& file, const std::string& name, const Parts& parts) {
  const Shape shape = file.shape(name);
  const std::vector<T> all = file.read<T>(name, shape);
  const auto size = static_cast<std::ptrdiff_t>(shape[0] > 0 ? shape.size() / shape[0] : 0);
  for (const auto& [set, rows] : {std::pair("train", &parts.train), {"test", &parts.test}}) {
    std::vector<T> chosen;
    for (const Index i : *rows) chosen.insert(chosen.end(), all.begin() + i * size, all.begin() + (i + 1) * size);
    std::vector<Index> extents = shape.extents();
    extents[0] = std::ssize(*rows);
    out.add(fmt::format("{}_{}", name, set), Shape(extents), std::span<const T>(chosen));
  }
}

}  // namespace

int split(const SplitOptions& options) {
  if (std::error_code ignored; std::filesystem::equivalent(options.file, options.out, ignored))
    throw ArgumentError(fmt::format("--out: expected another file than {}", options.file));
  require_extension("--out", options.out, {".npz"});
  const NpzFile file(options.file);
  if (!file.contains(options.by)) {
    throw FileError(fmt::format("{}: expected an array '{}' that says whose each example is, found none", options.file,
                                options.by));
  }
  const Shape who = file.shape(options.by);
  if (who.rank() != 1 || who[0] < 1) {
    throw FileError(fmt::format("{}: '{}': expected a number for each example, found the shape {}", options.file,
                                options.by, who.to_string()));
  }
  const Parts parts = parts_of(file, options, file.read<std::int64_t>(options.by, who));
  NpzWriter out(options.out);
  std::vector<std::string> kept;
  for (const std::string& name : file.names()) {
    if (name == options.by) continue;
    std::optional<NpyReader> array;
    try {
      array.emplace(file.open(name));
    } catch (const FileError&) {
      continue;  // Python's objects
    }
    if (array->shape().rank() < 1 || array->shape()[0] != who[0]) continue;
    if (array->is_text()) {
      if (std::ranges::find(kLabels, name) == kLabels.end()) continue;
      throw FileError(
          fmt::format("{}: '{}': expected numbers, found words: numpy.unique({}, return_inverse=True)[1] makes "
                      "numbers of them",
                      options.file, name, name));
    }
    if (is_floating(*array)) {
      add<float>(out, file, name, parts);
    } else {
      add<std::int64_t>(out, file, name, parts);
    }
    kept.push_back(name);
  }
  if (kept.empty())
    throw FileError(
        fmt::format("{}: expected arrays of {} examples beside '{}', found none", options.file, who[0], options.by));
  out.commit();
  std::cout << fmt::format("{}: {} examples train, {} test\n", options.out, parts.train.size(), parts.test.size());
  return 0;
}

}  // namespace slopewise
