// What in the settings of the machine that is measured on would spoil a measurement.
#pragma once

#include <string>
#include <vector>

#include "slopewise/tensor/machine.hpp"

namespace slopewise {

// Environment variables that choose a BLAS's kernels or block sizes in place of the library itself.
const std::vector<std::string>& pinning_variables();

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

}  // namespace slopewise
