#include "slopewise/report/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <string_view>

namespace slopewise {
namespace {

std::atomic<ColourMode> colour_mode = ColourMode::kAuto;

const char* environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

bool is_terminal(int descriptor) {
  return ::isatty(descriptor) == 1;
}

int terminal_width(int descriptor) {
  int columns = 0;
  winsize size = {};
  if (::ioctl(descriptor, TIOCGWINSZ, &size) == 0) columns = size.ws_col;
  if (columns == 0) columns = std::atoi(environment("COLUMNS"));
  if (columns <= 0) columns = 80;
  return std::max(columns, 20);
}

void set_colour(ColourMode mode) {
  colour_mode = mode;
}

bool wants_colour(int descriptor) {
  const ColourMode mode = colour_mode;
  if (mode != ColourMode::kAuto) return mode == ColourMode::kAlways;
  return is_terminal(descriptor) && *environment("NO_COLOR") == '\0' && std::string_view(environment("TERM")) != "dumb";
}

}  // namespace slopewise
