// Ctrl-C, and what else asks a process to end: the first asks the work to stop at the next safe point, the second ends
// the process at once.
#pragma once

namespace slopewise {

// Installs handlers for SIGINT, SIGTERM and SIGHUP that only set a flag; one that is ignored stays so, as nohup wants
// it. SIGPIPE, a write that nobody reads (`slopewise train 2>&1 | head`), sets another, and the work goes on. SIGXFSZ
// is ignored, so that a write past the limit on the size of files is an error that names its file. Called once by the
// command line; a library user who does not call it keeps their own handlers.
void install_interrupt_handler();

// True once the user asked to stop.
bool interrupted();

// The signal by which they did; 0 before.
int interrupting_signal();

// True once something was written to a pipe that nobody reads.
bool pipe_broken();

// Throws Interrupted, with what was being done, once the user asked to stop. Long loops call it once an iteration.
void check_interrupted(const char* doing);

}  // namespace slopewise
