#include "apps/bench/pytorch.hpp"

#include <fmt/format.h>

namespace slopewise {

extern const char* const kPyTorchScript;  // pytorch.py; the build makes its definition

namespace {

// OpenBLAS's threads look for work for 26 ms at 2.6 GHz, OpenMP's for less.
constexpr std::chrono::milliseconds kPyTorchSettling{40};

std::vector<std::string> arguments(const std::string& python, int threads, const std::vector<std::string>& subject) {
  std::vector<std::string> all = {python, "-W", "ignore", "-c", kPyTorchScript, std::to_string(threads)};
  all.insert(all.end(), subject.begin(), subject.end());
  return all;
}

std::vector<std::string> variables(int threads, const std::string& core_type) {
  // Threads of OpenMP that look for work for long keep those of OpenBLAS from it.
  std::vector<std::string> all = {fmt::format("OMP_NUM_THREADS={}", threads),
                                  fmt::format("OPENBLAS_NUM_THREADS={}", threads), "GOMP_SPINCOUNT=1000"};
  if (!core_type.empty()) all.push_back("OPENBLAS_CORETYPE=" + core_type);
  return all;
}

std::vector<std::string> words(const BenchSubject& subject) {
  return {subject.shape(), std::to_string(subject.batch_size())};
}

}  // namespace

PyTorch::PyTorch(const std::string& python, int threads, const std::string& core_type,
                 const std::vector<std::string>& subject, FreedMemory freed)
    : peer_("PyTorch", arguments(python, threads, subject), variables(threads, core_type), freed, threads,
            kPyTorchSettling, [&](const std::string& reason) {
              return fmt::format(
                  "--against pytorch: {} has no PyTorch ({}): install the package python3-torch, or name another "
                  "interpreter by --python",
                  python, reason);
            }) {}

PyTorch::PyTorch(const std::string& python, int threads, const std::string& core_type, const BenchSubject& subject)
    : PyTorch(python, threads, core_type, words(subject), FreedMemory::kKept) {}

PyTorch::PyTorch(const std::string& python, int threads, const std::string& core_type)
    : PyTorch(python, threads, core_type, std::vector<std::string>{}, FreedMemory::kKept) {}

Index PyTorch::peak(const std::string& python, int threads, const std::string& core_type, const BenchSubject& subject,
                    const std::string& step) {
  return PyTorch(python, threads, core_type, words(subject), FreedMemory::kGivenBack).peer_.peak(step);
}

std::string PyTorch::kernels() {
  return peer_.ask("kernels");
}

std::string PyTorch::lacks(const std::string& step) {
  return peer_.ask("lacks " + step);
}

std::string PyTorch::product(Index rows) {
  return fmt::format("product:{}", rows);
}

}  // namespace slopewise
