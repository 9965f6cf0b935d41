#include "apps/toml_depth.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

// One pass over the text, which may end anywhere.
class DepthScan {
 public:
  DepthScan(std::string_view text, const std::string& source) : text_(text), source_(source) {}

  void run() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"' || c == '\'') {
        skip_text(c);
        continue;
      }
      if (c == '#') at_ = std::min(text_.find('\n', at_), text_.size());
      if (at_ < text_.size()) take(text_[at_++]);
    }
  }

 private:
  // The document, or what a bracket opened.
  struct Place {
    bool keys;  // it is a table
    int depth;
  };

  void take(char c) {
    const bool outermost = places_.size() == 1;
    if (c == '[' && outermost && in_key_) {
      if (!in_header_) depth_ = 0;
      in_header_ = true;
      deepen();
    } else if (c == ']' && in_header_) {
      in_header_ = false;
      places_.front().depth = depth_;
    } else if (c == '[' || c == '{') {
      deepen();
      places_.push_back({.keys = c == '{', .depth = depth_});
      begin_item();
    } else if ((c == ']' || c == '}') && !outermost) {
      places_.pop_back();
      depth_ = places_.back().depth;
      in_key_ = false;
    } else if (c == '.' && in_key_) {
      deepen();
    } else if (c == '=') {
      in_key_ = false;
    } else if (c == ',' || (c == '\n' && outermost)) {
      begin_item();
    }
  }
  void begin_item() {
    in_header_ = false;
    depth_ = places_.back().depth;
    in_key_ = places_.back().keys;
  }
  void deepen() {
    if (++depth_ <= kMostTomlDepth) return;
    const auto line = 1 + std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(at_), '\n');
    throw ArgumentError(
        fmt::format("{}, line {}: TOML nested deeper than {} tables and lists", source_, line, kMostTomlDepth));
  }

  // A string, of one line or, in three quotes, of several, the last of which may follow two of its own.
  void skip_text(char quote) {
    const std::string three(3, quote);
    const bool lines = text_.substr(at_, 3) == three;
    at_ += lines ? 3 : 1;
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\\' && quote == '"') {
        ++at_;
      } else if (lines && text_.substr(at_, 3) == three) {
        at_ += 3;
        for (int own = 0; own < 2 && text_.substr(at_, 1) == three.substr(0, 1); ++own) ++at_;
        return;
      } else if (!lines && text_[at_] == '\n') {
        return;
      } else if (!lines && text_[at_] == quote) {
        ++at_;
        return;
      }
    }
  }

  std::string_view text_;
  const std::string& source_;
  std::size_t at_ = 0;
  std::vector<Place> places_ = {{.keys = true, .depth = 0}};
  int depth_ = 0;           // of what comes next
  bool in_key_ = true;      // where a dot opens a table
  bool in_header_ = false;  // between the brackets of [a.b] or [[a.b]]
};

}  // namespace

void require_shallow_toml(std::string_view text, const std::string& source) {
  DepthScan(text, source).run();
}

}  // namespace slopewise
