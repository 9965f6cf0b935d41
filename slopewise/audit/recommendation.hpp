// Which method to train by: rules on the figures of an audit, and nothing else.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "slopewise/base/shape.hpp"

namespace slopewise {

// What the rules know of a method.
struct MethodFigures {
  std::string method;
  std::string options;    // of slopewise train
  Index bytes = 0;        // of a step with all that lasts
  double seconds = 0;     // of a step
  double rate = 0;        // to start with
  double decrease = 0;    // of the loss by a step; NaN where nobody knows
  double slowdown = 0;    // against backprop, in steps; NaN likewise
  bool exact = false;     // gradients are exact: backprop of all that trains, or of a part
  bool measured = false;  // `decrease` was tried, not predicted

  // Loss per second, what methods are judged by.
  double pace() const { return decrease / seconds; }
};

struct Choice {
  std::string method, options;
  double rate = 0, pace = 0;
  Index bytes = 0;
};

struct Recommendation {
  std::optional<Choice> best, second;
  std::string sentence;              // with its reason
  std::vector<std::string> changes;  // what would change the answer
};

// Of the methods that take at most `memory` bytes (0: any number), that of the greatest pace; of those within kAlike of
// it, the one of the least bytes, so that more memory is not spent for nothing.  Needs figures of at least one method.
Recommendation recommend(std::span<const MethodFigures> methods, Index memory);

// Paces that measurements and predictions do not tell apart.
inline constexpr double kAlike = 1.1;

}  // namespace slopewise
