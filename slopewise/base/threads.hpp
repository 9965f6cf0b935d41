// Threads: work is cut into pieces whose bounds never depend on how many threads there are, so results do not either.
#pragma once

#include <cstdint>
#include <functional>

namespace slopewise {

// Number of threads parallel_for uses: what set_thread_count gave, else OMP_NUM_THREADS, else the cores at hand.
int thread_count();

// Throws ArgumentError unless count ≥ 1.
void set_thread_count(int count);

// Calls body(i) once for each i in [0, count), spread over the threads; inside another parallel_for it runs serially.
// The first exception a body throws is rethrown here after all threads stopped.
void parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& body);

// Index of the calling thread within the innermost parallel_for, in [0, thread_count()); 0 outside and where that one
// runs serially.
int thread_index();

}  // namespace slopewise
