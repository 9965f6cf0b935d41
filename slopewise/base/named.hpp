// Things by name: what options take, help lists, completion offers and messages suggest.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "slopewise/base/error.hpp"
#include "slopewise/base/nearest.hpp"

namespace slopewise {

// Entries have a `name` and, where summary() is asked for, a `summary`. Entries stay where they are. Adding is not safe
// beside other calls: register before the work starts.
template <class Entry>
class NamedTable {
 public:
  // `kind`: what messages call an entry ("estimator").
  NamedTable(std::string kind, std::initializer_list<Entry> entries) : kind_(std::move(kind)) {
    for (const Entry& entry : entries) add(entry);
  }
  // Throws ArgumentError for an empty name or one that is taken.
  void add(Entry entry) {
    const std::string name(entry.name);
    if (name.empty()) throw ArgumentError(kind_ + ": expected a name, found none");
    for (const std::string& taken : names_) {
      if (taken == name) throw ArgumentError(fmt::format("{} '{}': expected a name that is not taken", kind_, name));
    }
    names_.push_back(name);
    entries_.push_back(std::move(entry));
  }
  // Throws ArgumentError, naming all there are and the nearest, for an unknown name.
  const Entry& find(std::string_view name) const {
    for (const Entry& entry : entries_) {
      if (entry.name == name) return entry;
    }
    throw ArgumentError(
        fmt::format("{} '{}': expected one of {}{}", kind_, name, fmt::join(names_, ", "), suggestion(name, names_)));
  }
  std::string_view summary(std::string_view name) const { return find(name).summary; }
  // In the order they were added.
  const std::vector<std::string>& names() const { return names_; }
  const std::deque<Entry>& entries() const { return entries_; }

 private:
  std::string kind_;
  std::deque<Entry> entries_;
  std::vector<std::string> names_;
};

}  // namespace slopewise
