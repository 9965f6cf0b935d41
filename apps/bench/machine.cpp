#include "apps/bench/machine.hpp"

#include <fmt/format.h>
#include <omp.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>

namespace slopewise {
const std::vector<std::string>& pinning_variables() {
  static const std::vector<std::string> names = {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "DNNL_MAX_CPU_ISA",
                                                 "ONEDNN_MAX_CPU_ISA"};
  return names;
}

std::vector<std::string> timing_warnings(int threads) {
  std::vector<std::string> warnings;
  for (const std::string& name : pinning_variables()) {
    if (const char* value = std::getenv(name.c_str())) {
      warnings.push_back(
          fmt::format("{}={} chooses kernels in the library's place and may slow Slopewise's; peers "
                      "run without it. Run again with: env -u {}",
                      name, value, name));
    }
  }
  const cpu_set_t usable = usable_cpus();
  if (const int cpus = CPU_COUNT(&usable); cpus < threads) {
    warnings.push_back(fmt::format("{} threads share {} CPU{}", threads, cpus, cpus == 1 ? "" : "s"));
  }
  if (omp_get_proc_bind() == omp_proc_bind_false) {
    warnings.push_back(
        "threads are not bound to CPUs, so that they may move or share one. Run again with: env OMP_PROC_BIND=true "
        "OMP_PLACES=cores");
  }
  const char* policy = std::getenv("OMP_WAIT_POLICY");
  if (policy && std::string_view(policy) == "active") {
    warnings.push_back("OMP_WAIT_POLICY=active keeps idle threads busy while another process is measured");
  }
  return warnings;
}

CpuTime cpu_time() {
  CpuTime total;
  std::error_code ignored;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", ignored)) {
    double used = 0, waited = 0;  // nanoseconds
    std::ifstream(task.path() / "schedstat") >> used >> waited;
    total.used += 1e-9 * used;
    total.waited += 1e-9 * waited;
  }
  return total;
}

}  // namespace slopewise
