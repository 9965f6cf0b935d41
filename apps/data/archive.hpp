// Files out of a gzipped tar archive.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace slopewise {

// Writes the archive's regular files of these names, whatever folder it has them in, to `directory`, each whole or not
// at all; others are passed over. Throws FileError if the archive is damaged or lacks one of them, or if a file cannot
// be written; Interrupted after Ctrl-C.
void unpack(const std::filesystem::path& archive, const std::vector<std::string>& names,
            const std::filesystem::path& directory);

}  // namespace slopewise
