#include "slopewise/base/threads.hpp"

#include <fmt/format.h>
#include <omp.h>

#include <atomic>
#include <exception>
#include <utility>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

std::atomic<int> requested_threads{0};
thread_local int current_index = 0;

}  // namespace

int thread_count() {
  const int requested = requested_threads.load();
  return requested > 0 ? requested : omp_get_max_threads();
}

void set_thread_count(int count) {
  if (count < 1) throw ArgumentError(fmt::format("threads: expected at least 1, found {}", count));
  requested_threads = count;
}

void parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& body, LoopSchedule schedule) {
  const int threads = static_cast<int>(std::min<std::int64_t>(thread_count(), count));
  if (threads <= 1 || omp_in_parallel()) {
    const int outer = std::exchange(current_index, 0);
    try {
      for (std::int64_t i = 0; i < count; ++i) body(i);
    } catch (...) {
      current_index = outer;
      throw;
    }
    current_index = outer;
    return;
  }
  std::atomic<bool> failed{false};
  std::exception_ptr failure;
  const auto attempt = [&](std::int64_t i) {
    if (failed.load(std::memory_order_relaxed)) return;
    try {
      body(i);
    } catch (...) {
      if (!failed.exchange(true)) failure = std::current_exception();
    }
  };
#pragma omp parallel num_threads(threads)
  {
    current_index = omp_get_thread_num();
    if (schedule == LoopSchedule::kStatic) {
      const std::int64_t own = current_index;
      const std::int64_t team = omp_get_num_threads();  // OMP_THREAD_LIMIT or OMP_DYNAMIC may give fewer than asked for
      for (std::int64_t i = count * own / team; i < count * (own + 1) / team; ++i) attempt(i);
    } else {
#pragma omp for schedule(dynamic, 1)
      for (std::int64_t i = 0; i < count; ++i) attempt(i);
    }
    current_index = 0;
  }
  if (failure) std::rethrow_exception(failure);
}

int thread_index() {
  return current_index;
}

}  // namespace slopewise
