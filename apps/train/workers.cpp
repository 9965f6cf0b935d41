#include "apps/train/workers.hpp"

#include <fmt/format.h>
#include <omp.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "slopewise/base/threads.hpp"
#include "slopewise/workers/mpi_team.hpp"

namespace slopewise {
namespace {

// Set in ranks that start_workers has started, whose command line says --workers too.
constexpr const char* kStarted = "SLOPEWISE_STARTED_BY_WORKERS";

// Each rank would pin its threads from the first core on. OpenMP has pinned this process there, which ranks inherit.
void unpin() {
  ::unsetenv("OMP_PROC_BIND");
  ::unsetenv("OMP_PLACES");
  cpu_set_t all;
  CPU_ZERO(&all);
  for (int place = 0; place < omp_get_num_places(); ++place) {
    std::vector<int> processors(static_cast<std::size_t>(omp_get_place_num_procs(place)));
    omp_get_place_proc_ids(place, processors.data());
    for (const int processor : processors) CPU_SET(static_cast<std::size_t>(processor), &all);
  }
  if (CPU_COUNT(&all) > 0) ::sched_setaffinity(0, sizeof all, &all);
}

}  // namespace

void start_workers(Index count) {
  if (count < 2 || std::getenv(kStarted)) return;
  if (std::getenv("OMPI_COMM_WORLD_SIZE")) {
    throw ArgumentError(fmt::format(
        "--workers: expected a process that mpirun has not started, found one of {} ranks; give --workers or mpirun -n",
        MpiTeam::started()));
  }
  // Ranks on this machine may be more than its cores.
  std::vector<std::string> words{"mpirun",
                                 "--quiet",
                                 "-n",
                                 std::to_string(count),
                                 "--oversubscribe",
                                 "--bind-to",
                                 "none",
                                 "-x",
                                 kStarted,
                                 std::filesystem::read_symlink("/proc/self/exe").string()};
  std::ifstream own("/proc/self/cmdline", std::ios::binary);
  std::string word;
  std::getline(own, word, '\0');
  while (std::getline(own, word, '\0')) words.push_back(word);
  std::vector<char*> arguments;
  for (std::string& each : words) arguments.push_back(each.data());
  arguments.push_back(nullptr);
  ::setenv(kStarted, "1", 1);
  unpin();
  if (::geteuid() == 0) {  // mpirun asks the superuser twice
    ::setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 0);
    ::setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 0);
  }
  ::execvp(arguments[0], arguments.data());
  throw Error(fmt::format("--workers: cannot start mpirun (Debian: openmpi-bin): {}", std::strerror(errno)));
}

std::unique_ptr<Team> join_team(double patience) {
  if (MpiTeam::started() < 2) return nullptr;
  int here = 1;
  if (const char* local = std::getenv("OMPI_COMM_WORLD_LOCAL_SIZE"))
    std::from_chars(local, local + std::strlen(local), here);
  set_thread_count(std::max(1, thread_count() / std::max(here, 1)));
  return std::make_unique<MpiTeam>(patience);
}

}  // namespace slopewise
