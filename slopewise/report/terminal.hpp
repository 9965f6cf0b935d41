// What the terminal behind a file descriptor can show.
#pragma once

namespace slopewise {

bool is_terminal(int descriptor);

// Columns of the terminal: what it reports, else the environment's COLUMNS, else 80. Never below 20.
int terminal_width(int descriptor);

enum class ColourMode { kAuto, kAlways, kNever };
// What the user asked for, for the whole process; kAuto at first.
void set_colour(ColourMode mode);

// Whether to colour what goes there: as set_colour says or, where that is kAuto, if it is a terminal, TERM is not
// "dumb", and NO_COLOR is unset or empty (no-color.org).
bool wants_colour(int descriptor);

}  // namespace slopewise
