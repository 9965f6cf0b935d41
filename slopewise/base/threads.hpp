// Threads: work is cut into pieces whose bounds never depend on how many threads there are, so results do not either.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace slopewise {

// Number of threads parallel_for uses: what set_thread_count gave, else OMP_NUM_THREADS, else the cores at hand.
int thread_count();

// Throws ArgumentError unless count ≥ 1.
void set_thread_count(int count);

// Which thread takes which i: whoever is free takes the next, or each an equal stretch of neighbours, the same in every
// loop of as many: then what a thread wrote in one loop is still in its caches in the next.
enum class LoopSchedule { kDynamic, kStatic };

// Calls body(i) once for each i in [0, count), spread over the threads; inside another parallel_for it runs serially.
// The first exception a body throws is rethrown here after all threads stopped.
void parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& body,
                  LoopSchedule schedule = LoopSchedule::kDynamic);

// Index of the calling thread within the innermost parallel_for, in [0, thread_count()); 0 outside and where that one
// runs serially.
int thread_index();

// Another number of threads for as long as this lives.
class ThreadScope {
 public:
  explicit ThreadScope(int count) : before_(thread_count()) { set_thread_count(count); }
  ~ThreadScope() { set_thread_count(before_); }
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int before_;
};

// An object for each thread of a parallel_for, made by the thread that first asks for its own.
template <class T>
class PerThread {
 public:
  PerThread() : objects_(static_cast<std::size_t>(thread_count())) {}

  // The calling thread's object; the arguments are for its constructor, should it have to be made.
  template <class... Arguments>
  T& own(Arguments&&... arguments) {
    std::unique_ptr<T>& mine = objects_[thread_index()];
    if (!mine) mine = std::make_unique<T>(std::forward<Arguments>(arguments)...);
    return *mine;
  }

 private:
  std::vector<std::unique_ptr<T>> objects_;
};

}  // namespace slopewise
