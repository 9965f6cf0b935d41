// Files that are either wholly there or not at all.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace slopewise {

// A file being written beside its final place: bytes go to a temporary in the same directory,
// "<name>.slopewise-XXXXXX", which is locked; `commit` flushes them to the disk and renames. Destroyed without commit,
// it leaves nothing behind; a process that is killed leaves the temporary, which the next AtomicFile of the same path
// removes. Every failure throws FileError naming the path and the system's reason.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* bytes, std::size_t count);
  void write(std::string_view text) { write(text.data(), text.size()); }
  void commit();

 private:
  std::filesystem::path path_;
  std::string temporary_;
  int descriptor_ = -1;
};

// Writes a file of that content.
void write_text(const std::filesystem::path& path, std::string_view text);

// Flushes a whole file to the disk and renames it within its directory, replacing what was there. Throws FileError.
void rename_durably(const std::filesystem::path& from, const std::filesystem::path& to);

// Removes temporaries that processes no longer alive have left in the directory: of the file called `name`, or of all.
void remove_leftovers(const std::filesystem::path& directory, std::string_view name = {});

// Creates the directory and its parents if missing, checks that files can be made in it and removes leftovers. Throws
// FileError.
void ensure_writable_directory(const std::filesystem::path& directory);

}  // namespace slopewise
