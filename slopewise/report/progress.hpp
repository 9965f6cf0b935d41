// What a long task tells the one who waits for it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace slopewise {

// A task at one moment, and the lines that tell of it.
struct ProgressState {
  std::string task = {};
  std::string unit = {};  // what the work is counted in, "steps"; empty shows no rate
  std::string note = {};  // the current item
  double total = 0;       // the work to do; 0 is unknown
  double done = 0;        // of it
  double seconds = 0;     // since the start

  // "train [=====>    ]  35 %  1234 steps/s  2 min 3 s left  epoch 4" in at most `width` columns: the bar takes what
  // room there is, the note is the first to be cut.
  std::string terminal_line(int width) const;
  // "train: 35 %, 1234 steps/s, 2 min 3 s left (epoch 4)".
  std::string plain_line() const;
  // "train: done in 3 min 2 s", or "train: stopped at 35 % after 1 min 5 s".
  std::string last_line(bool finished) const;
};

// Where and how often to tell; the defaults are for people.
struct ProgressStyle {
  bool quiet = false;                              // nothing at all
  std::string unit = {};                           // see ProgressState
  int descriptor = 2;                              // standard error
  std::chrono::milliseconds delay{2000};           // a task that ends within it is never mentioned
  std::chrono::milliseconds redraw{100};           // on a terminal, where one line is redrawn
  std::chrono::milliseconds plain_interval{5000};  // elsewhere, where each report is a line of its own
};

// Tells how far a task is, from construction to destruction. A thread of its own does the telling, so that a long
// silent stretch still shows the time, and advance() costs only a lock. Any thread may call. The terminal's cursor
// always rests on the line below, so that whatever ends the process leaves a whole line behind. One last line says how
// long the task took, or, when it was stopped or an exception unwinds, how far it came.
class Progress {
 public:
  // `total` is the work to do in units that take about equal time each: steps, or parts of a whole where pieces are of
  // unequal length. 0 means unknown: then no share and no time left are shown.
  Progress(std::string task, double total, ProgressStyle style = {});
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Adds work done.
  void advance(double units = 1);
  // Names the current item.
  void note(std::string what);
  // A line of its own that stays, at once: not hidden by what is told after it. Nothing where all is quiet.
  void say(const std::string& line);
  // The task ends before its work is done, though no exception says so.
  void stop();

 private:
  ProgressState now() const;
  void tell(const std::string& line, bool stays = false);
  void watch();

  ProgressState state_;   // guarded by mutex_, as are stop_ and stopped_
  bool stop_ = false;     // the watcher is to end
  bool stopped_ = false;  // so was the task
  std::mutex mutex_;
  std::condition_variable ended_;

  const ProgressStyle style_;
  const bool terminal_;
  const int exceptions_;  // in flight at construction
  const std::chrono::steady_clock::time_point start_;
  std::mutex writing_;  // of one line at a time
  bool above_ = false;  // the line above the cursor is one to go over; guarded by writing_, as is told_
  bool told_ = false;   // how far the task is
  std::thread watcher_;
};

}  // namespace slopewise
