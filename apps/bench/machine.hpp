// The machine that is measured on, and what in its settings would spoil a measurement.
#pragma once

#include <sched.h>

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace slopewise {

// Environment variables that choose a BLAS's kernels or block sizes in place of the library itself.
const std::vector<std::string>& pinning_variables();

// The CPUs this process may use: OpenMP's places where it has bound our threads to some, else this thread's affinity.
cpu_set_t usable_cpus();

// One sentence for each setting that makes times of `threads` threads slower, or unlike those of the process compared
// with, than they need be.
std::vector<std::string> timing_warnings(int threads);

// What the scheduler has given and kept from this process's threads, in seconds since they began; zeros where it does
// not tell.
struct CpuTime {
  double used = 0;
  double waited = 0;  // ready to run while another process had the CPU
};
CpuTime cpu_time();

// The processor's name, as /proc/cpuinfo gives it.
std::string processor_name();

// Processor, instruction set, CPUs, versions and the OpenMP settings in force.
nlohmann::ordered_json describe_machine();

}  // namespace slopewise
