// What the terminal behind a file descriptor can show.
#pragma once

namespace slopewise {

bool is_terminal(int descriptor);

// Columns of the terminal: what it reports, else the environment's COLUMNS, else 80. Never below 20.
int terminal_width(int descriptor);

// Whether to colour what goes there: it is a terminal, TERM is not "dumb", and NO_COLOR is unset or empty
// (no-color.org).
bool wants_colour(int descriptor);

}  // namespace slopewise
