#include "slopewise/tensor/machine.hpp"

#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <oneapi/dnnl/dnnl.hpp>
#include <vector>

#include "slopewise/base/version.hpp"
#include "slopewise/tensor/instruction_set.hpp"

namespace slopewise {
namespace {

nlohmann::ordered_json variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
}

}  // namespace

cpu_set_t usable_cpus() {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  for (int place = 0; place < omp_get_num_places(); ++place) {
    std::vector<int> numbers(static_cast<std::size_t>(omp_get_place_num_procs(place)));
    omp_get_place_proc_ids(place, numbers.data());
    for (const int number : numbers) CPU_SET(static_cast<std::size_t>(number), &cpus);
  }
  if (CPU_COUNT(&cpus) == 0) sched_getaffinity(0, sizeof cpus, &cpus);
  return cpus;
}

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(std::min(line.size(), line.find(':') + 2));
  }
  return "unknown";
}

nlohmann::ordered_json describe_machine() {
  const dnnl_version_t& dnnl = *dnnl::version();
  const cpu_set_t usable = usable_cpus();
  return {{"processor", processor_name()},
          {"instruction_set", instruction_set_name(instruction_set())},
          {"cpus", CPU_COUNT(&usable)},
          {"slopewise", version()},
          {"onednn", fmt::format("{}.{}.{}", dnnl.major, dnnl.minor, dnnl.patch)},
          {"pytorch", nullptr},
          {"pytorch_kernels", nullptr},
          {"pytorch_gflops", nullptr},
          {"onnxruntime", nullptr},
          {"omp_proc_bind", variable("OMP_PROC_BIND")},
          {"omp_places", variable("OMP_PLACES")}};
}

}  // namespace slopewise
