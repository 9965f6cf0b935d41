#include "slopewise/tensor/products/openblas_library.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "slopewise/base/error.hpp"
#include "slopewise/tensor/instruction_set.hpp"
#include "slopewise/tensor/products/openblas_share.hpp"

namespace slopewise {
namespace {

constexpr char kFile[] = "libopenblas.so.0";

// A variable of the environment for as long as this lives; one that the user has set stays as it is.
class Environment {
 public:
  Environment(const char* name, const char* value) {
    const char* given = std::getenv(name);
    if (given && *given) return;
    name_ = name;
    setenv(name, value, 1);
  }
  ~Environment() {
    if (name_) unsetenv(name_);
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const char* name_ = nullptr;
};

// OpenBLAS chooses its kernels by a list of processors and takes one that is not on it for a Prescott, five times too
// slow on today's Intels; so they are chosen here, by what the processor can do.
const char* widest_kernels() {
  switch (instruction_set()) {
    case InstructionSet::kAvx2:
      return "Haswell";
    case InstructionSet::kAvx512:
      return "SkylakeX";
    default:
      return "Cooperlake";
  }
}

struct Library {
  OpenBlas functions;
  decltype(&openblas_set_num_threads) set_threads;
  int threads_before;  // 1 where nobody had loaded it
  // OpenBLAS's own: a buffer out of those it has mapped, else a new one. Where none can be mapped it tries for ever.
  void* (*take_buffer)(int);
  void (*give_buffer)(void*);
};

struct Loaded {
  std::optional<Library> library;
  std::string failure;
};

template <class Function>
void find(void* handle, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(handle, name));
  if (!function) throw Error(fmt::format("{} has no function {}", kFile, name));
}

// Has an OpenBLAS that somebody else (NumPy) has loaded choose its kernels once more; of builds with kernels for many
// processors, as Debian's: others have nothing to choose.
void choose_again(void* handle) {
  const auto quit = reinterpret_cast<void (*)()>(dlsym(handle, "gotoblas_dynamic_quit"));
  const auto init = reinterpret_cast<void (*)()>(dlsym(handle, "gotoblas_dynamic_init"));
  if (!quit || !init) return;
  quit();
  init();
}

Library load() {
  const Environment kernels("OPENBLAS_CORETYPE", widest_kernels());
  const Environment threads("OPENBLAS_NUM_THREADS", "1");
  const bool loaded_before = dlopen(kFile, RTLD_NOW | RTLD_NOLOAD) != nullptr;
  void* handle = dlopen(kFile, RTLD_NOW | RTLD_LOCAL);
  if (!handle) throw Error(fmt::format("cannot load OpenBLAS: {}", dlerror()));
  if (loaded_before) choose_again(handle);
  Library library{};
  decltype(&openblas_get_num_threads) get_threads = nullptr;
  find(handle, "openblas_get_num_threads", get_threads);
  find(handle, "openblas_set_num_threads", library.set_threads);
  library.threads_before = get_threads();
  // Callers cut the work, so OpenBLAS must not cut it again, whatever the environment says and whoever loaded it
  // before.
  library.set_threads(1);
  find(handle, "cblas_sgemm", library.functions.sgemm);
  find(handle, "cblas_dgemm", library.functions.dgemm);
  find(handle, "dpotrf_", library.functions.dpotrf);
  find(handle, "dpotrs_", library.functions.dpotrs);
  find(handle, "dtrtri_", library.functions.dtrtri);
  find(handle, "openblas_get_config", library.functions.config);
  find(handle, "openblas_get_corename", library.functions.core_name);
  find(handle, "blas_memory_alloc", library.take_buffer);
  find(handle, "blas_memory_free", library.give_buffer);
  return library;
}

// Loaded with what needs it, before main or in dlopen: a program that loads that later must not change its environment
// on another thread meanwhile. A failure is told to who asks for a product.
const Loaded kLoaded = [] {
  try {
    return Loaded{.library = load(), .failure = {}};
  } catch (const Error& error) {
    return Loaded{.library = {}, .failure = error.what()};
  }
}();

std::mutex turns_mutex;
bool shared = false;
int turns = 0;  // under way

void share(bool with_others) {
  if (kLoaded.library) kLoaded.library->set_threads(with_others ? kLoaded.library->threads_before : 1);
}

// What OpenBLAS 0.3.21 maps for each thread that multiplies at the same time as others.
constexpr std::size_t kBufferBytes = std::size_t{128} << 20;
// What another thread may map between the question and the answer: glibc's heap for a new thread is the most.
constexpr std::size_t kSpareBytes = std::size_t{128} << 20;

std::mutex buffers_mutex;
int threads_alive = 0;   // of those that have multiplied
int buffers_mapped = 0;  // at least; OpenBLAS keeps them

bool fits(std::size_t bytes) {
  void* place = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (place == MAP_FAILED) return false;
  munmap(place, bytes);
  return true;
}

// A thread that multiplies. A buffer is there for it, as there are as many as such threads.
class Member {
 public:
  explicit Member(const Library& library) {
    const std::lock_guard lock(buffers_mutex);
    std::vector<void*> held;
    const int needed = threads_alive + 1;
    bool enough = true;
    // Held all at once, as one that is given back is what the next call gets.
    while (buffers_mapped < needed && static_cast<int>(held.size()) < needed && enough) {
      enough = fits(kBufferBytes + kSpareBytes);
      if (enough) held.push_back(library.take_buffer(0));
    }
    for (void* buffer : held) library.give_buffer(buffer);
    if (!enough) {
      throw Error(fmt::format(
          "out of memory: OpenBLAS needs a buffer of {} MiB for each thread that multiplies, and there is no room for "
          "that of thread {}; try fewer threads (--threads) or a higher limit (ulimit -v)",
          kBufferBytes >> 20, needed));
    }
    buffers_mapped = std::max(buffers_mapped, needed);
    threads_alive = needed;
  }
  ~Member() {
    const std::lock_guard lock(buffers_mutex);
    --threads_alive;
  }
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;
};

}  // namespace

void share_openblas() {
  const std::lock_guard lock(turns_mutex);
  shared = true;
  if (turns == 0) share(true);
}
OpenBlasTurn::OpenBlasTurn() {
  const std::lock_guard lock(turns_mutex);
  if (turns++ == 0 && shared) share(false);
}
OpenBlasTurn::~OpenBlasTurn() {
  const std::lock_guard lock(turns_mutex);
  if (--turns == 0 && shared) share(true);
}

const OpenBlas& openblas() {
  if (!kLoaded.library) throw Error(kLoaded.failure);
  return kLoaded.library->functions;
}

const OpenBlas& openblas_with_buffer() {
  const OpenBlas& functions = openblas();
  [[maybe_unused]] static thread_local const Member member(*kLoaded.library);
  return functions;
}

}  // namespace slopewise
