#include "slopewise/audit/recommendation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "slopewise/base/error.hpp"
#include "slopewise/report/format.hpp"

namespace slopewise {
namespace {

std::string times_text(double ratio) {
  return ratio >= 10 ? fmt::format("{:.0f} times", ratio) : fmt::format("{:.1f} times", ratio);
}

Choice choice_of(const MethodFigures& method) {
  return {method.method, method.options, method.rate, method.pace(), method.bytes};
}

// Whether the pace is known and above 0.
bool progresses(const MethodFigures& method) {
  return method.pace() > 0 && std::isfinite(method.pace());
}

// The method of the greatest pace, of those alike the one of the least bytes; null where no pace is known.
const MethodFigures* best_of(std::span<const MethodFigures> methods, Index memory, const MethodFigures* but = nullptr) {
  double pace = 0;
  const auto counts = [&](const MethodFigures& method) {
    return &method != but && progresses(method) && (memory == 0 || method.bytes <= memory);
  };
  for (const MethodFigures& method : methods) {
    if (counts(method)) pace = std::max(pace, method.pace());
  }
  const MethodFigures* best = nullptr;
  for (const MethodFigures& method : methods) {
    if (counts(method) && method.pace() * kAlike >= pace && (!best || method.bytes < best->bytes)) best = &method;
  }
  return best;
}

std::string reason(const MethodFigures& best, const MethodFigures* second, const MethodFigures* free, Index memory) {
  std::string text = fmt::format("{} it lowers the loss fastest, in {}", best.measured ? "in a trial" : "by prediction",
                                 format_bytes(best.bytes));
  if (second) {
    const double ratio = best.pace() / second->pace();
    text += ratio > kAlike ? fmt::format(", {} as fast as {}", times_text(ratio), second->method)
                           : fmt::format("; {}, which takes {}, is not told apart from it", second->method,
                                         format_bytes(second->bytes));
  }
  if (free && free != &best) {
    text += fmt::format("; {}, {} as fast, takes {} and does not fit in {}", free->method,
                        times_text(free->pace() / best.pace()), format_bytes(free->bytes), format_bytes(memory));
  }
  return text;
}

}  // namespace

Recommendation recommend(std::span<const MethodFigures> methods, Index memory) {
  if (methods.empty()) throw ArgumentError("recommend: expected figures of at least 1 method, found none");
  Recommendation found;
  const MethodFigures* const best = best_of(methods, memory);
  const MethodFigures* const free = best_of(methods, 0);
  if (!best) {
    const auto least = std::ranges::min_element(methods, {}, &MethodFigures::bytes);
    found.sentence =
        memory > 0 && least->bytes > memory
            ? fmt::format("Nothing fits in {}: the least that a step takes is {}, by {}.", format_bytes(memory),
                          format_bytes(least->bytes), least->method)
            : std::string("No method's progress could be told: the loss's curvature at these weights says nothing.");
    if (memory > 0 && least->bytes > memory)
      found.changes.push_back(fmt::format("{} of memory", format_bytes(least->bytes)));
    return found;
  }
  const MethodFigures* const second = best_of(methods, memory, best);
  found.best = choice_of(*best);
  if (second) found.second = choice_of(*second);
  found.sentence = fmt::format("Use {}: {}.", best->method, reason(*best, second, free, memory));
  if (free != best)
    found.changes.push_back(fmt::format("{} of memory: then {}", format_bytes(free->bytes), free->method));
  if (const MethodFigures* const smaller = best_of(methods, best->bytes - 1); smaller) {
    found.changes.push_back(fmt::format("less than {} of memory: then {}, at {:.2g} of the pace",
                                        format_bytes(best->bytes), smaller->method, smaller->pace() / best->pace()));
  }
  for (const MethodFigures& method : methods) {
    if (memory == 0 || method.bytes <= memory || !method.exact || progresses(method)) continue;
    found.changes.push_back(
        fmt::format("{} of memory: {} fits, and could be judged", format_bytes(method.bytes), method.method));
  }
  for (const MethodFigures& method : methods) {
    if (!progresses(method) || method.exact || &method == best || (memory > 0 && method.bytes > memory)) continue;
    if (!best->exact || !(method.slowdown > 1)) continue;
    const double needed = method.slowdown * method.pace() / best->pace();
    if (!(needed > 1)) continue;
    found.changes.push_back(fmt::format(
        "weights along which {} takes {:.2g} times backprop's steps, not {:.2g}: fewer that train (--train)",
        method.method, needed, method.slowdown));
    break;
  }
  return found;
}

}  // namespace slopewise
