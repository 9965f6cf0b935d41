// Ends the program with a clear message on a processor that it was not built for. This file alone is compiled for any
// x86-64, and its check runs ahead of every other initialiser of the executable, any of which may use AVX2.
#include <unistd.h>

#include <string_view>

namespace {

constexpr std::string_view kMessage =
    "slopewise: this processor has no AVX2 and FMA; they are needed (Intel since Haswell, AMD since Zen)\n";

// 101 is the first priority that is not reserved for the C++ run time, so streams are not yet there.
__attribute__((constructor(101))) void check_processor() {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("x86-64-v3")) return;
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, kMessage.data(), kMessage.size());
  ::_exit(1);
}

}  // namespace
