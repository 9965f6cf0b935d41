// libFuzzer's entry: SLOPEWISE_READER names the reader. `./run fuzz` builds and runs it.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "readers.hpp"
#include "slopewise/base/error.hpp"

namespace {

// Removed when the fuzzer ends; what crashes leaves it, in the directory of temporary files.
struct Scratch {
  std::filesystem::path path;
  Scratch() {
    std::string pattern = (std::filesystem::temp_directory_path() / "slopewise.XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) std::abort();
    path = pattern;
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

const slopewise::FuzzedReader& reader() {
  static const slopewise::FuzzedReader& chosen = []() -> const slopewise::FuzzedReader& {
    const char* name = std::getenv("SLOPEWISE_READER");
    try {
      return slopewise::fuzzed_reader(name ? name : "");
    } catch (const slopewise::Error& error) {
      std::fprintf(stderr, "SLOPEWISE_READER: %s\n", error.what());
      std::exit(error.exit_code());
    }
  }();
  return chosen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Scratch scratch;
  slopewise::read_or_refuse(reader(), {data, size}, scratch.path);
  return 0;
}
