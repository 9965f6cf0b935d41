#include "slopewise/report/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace slopewise {
namespace {

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

bool wants_colour(int descriptor) {
  return is_terminal(descriptor) && *environment("NO_COLOR") == '\0' && std::string_view(environment("TERM")) != "dumb";
}

}  // namespace slopewise
