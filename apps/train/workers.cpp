#include "apps/train/workers.hpp"

#include <fmt/format.h>
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

void start_workers(Index count) {
  if (count < 2 || MpiTeam::started() > 1) return;
  // Ranks on this machine may be more than its cores.
  std::vector<std::string> words{
      "mpirun",          "--quiet",   "-n",   std::to_string(count),
      "--oversubscribe", "--bind-to", "none", std::filesystem::read_symlink("/proc/self/exe").string()};
  std::ifstream own("/proc/self/cmdline", std::ios::binary);
  std::string word;
  std::getline(own, word, '\0');
  while (std::getline(own, word, '\0')) words.push_back(word);
  std::vector<char*> arguments;
  for (std::string& each : words) arguments.push_back(each.data());
  arguments.push_back(nullptr);
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
