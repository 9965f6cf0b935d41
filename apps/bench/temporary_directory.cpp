#include "apps/bench/temporary_directory.hpp"

#include <fmt/format.h>
#include <stdlib.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "slopewise/base/error.hpp"

namespace slopewise {

TemporaryDirectory::TemporaryDirectory() {
  std::string name = (std::filesystem::temp_directory_path() / "slopewise-XXXXXX").string();
  if (!mkdtemp(name.data())) {
    throw FileError(fmt::format("{}: cannot make a directory: {}", name, std::generic_category().message(errno)));
  }
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace slopewise
