#include "slopewise/program/registry.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops/examples.hpp"

namespace slopewise {
namespace {

std::vector<OpEntry> built_in() {
  std::vector<OpEntry> ops;
  for (const auto examples : kBuiltInExamples) {
    for (OpEntry& entry : examples()) ops.push_back(std::move(entry));
  }
  return ops;
}

std::vector<OpEntry>& entries() {
  static std::vector<OpEntry> all = built_in();
  return all;
}

}  // namespace

const std::vector<OpEntry>& op_registry() {
  return entries();
}

void register_op(OpEntry entry) {
  if (entry.examples.empty())
    throw ArgumentError(fmt::format("register_op: op '{}' has no example to be checked on", entry.name));
  const auto same = [&](const OpEntry& other) { return other.name == entry.name; };
  if (std::any_of(entries().begin(), entries().end(), same))
    throw ArgumentError(fmt::format("register_op: op '{}' is registered already", entry.name));
  entries().push_back(std::move(entry));
}

}  // namespace slopewise
