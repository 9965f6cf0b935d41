// The machine that work is done on, for whoever reads times.
#pragma once

#include <sched.h>

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace slopewise {

// The CPUs this process may use: OpenMP's places where it has bound our threads to some, else this thread's affinity.
cpu_set_t usable_cpus();

// The processor's name, as /proc/cpuinfo gives it.
std::string processor_name();

// Processor, instruction set, CPUs, versions and the OpenMP settings in force.
nlohmann::ordered_json describe_machine();

}  // namespace slopewise
