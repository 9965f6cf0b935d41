// A directory that ends with the object.
#pragma once

#include <filesystem>

namespace slopewise {

class TemporaryDirectory {
 public:
  TemporaryDirectory();  // throws FileError
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace slopewise
