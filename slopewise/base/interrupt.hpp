// Ctrl-C: the first asks the work to stop at the next safe point, the second ends the process at once.
#pragma once

namespace slopewise {

// Installs handlers for SIGINT and SIGTERM that only set a flag. Called once by the command line; a library user who
// does not call it keeps their own handlers.
void install_interrupt_handler();

// True once the user asked to stop.
bool interrupted();

// Throws Interrupted, with what was being done, once the user asked to stop. Long loops call it once an iteration.
void check_interrupted(const char* doing);

}  // namespace slopewise
