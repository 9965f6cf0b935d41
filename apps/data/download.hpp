// Files from the web, known by their SHA-256 before they are asked for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "slopewise/report/progress.hpp"

namespace slopewise {

struct RemoteFile {
  std::string name;
  std::string sha256;      // in lower-case hexadecimal digits
  std::int64_t bytes = 0;  // 0: not known, and
  std::int64_t most = 0;   // so many are too many
};

// The SHA-256 of a file, in lower-case hexadecimal digits. Throws FileError if it cannot be read.
std::string sha256_of(const std::filesystem::path& path);

// Downloads `directory/name` from the first of `mirrors`, URLs that end in a slash, that gives it as it should be, and
// returns the URL it came from. Data go to name.part, which is renamed once it is whole, right and on the disk; a
// connection that is cut is taken up where it broke, now or by the next call. Advances `progress` by bytes. Throws
// FileError with what went wrong at each mirror, or if the disk takes no more; Interrupted after Ctrl-C.
std::string download(const RemoteFile& file, const std::vector<std::string>& mirrors,
                     const std::filesystem::path& directory, Progress& progress);

}  // namespace slopewise
