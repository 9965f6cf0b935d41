// Every reader of files from elsewhere, as a function of the file's bytes: what the fuzzer feeds and what the corpus is
// replayed to.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

namespace slopewise {

struct FuzzedReader {
  std::string_view name;
  // Reads the bytes as a file of the format, all of it. Throws Error where they are none; anything else is a finding.
  // `directory` is its own to write to.
  void (*read)(std::span<const std::uint8_t> bytes, const std::filesystem::path& directory);
};

std::span<const FuzzedReader> fuzzed_readers();
// Throws ArgumentError, listing the names, for one that there is not.
const FuzzedReader& fuzzed_reader(std::string_view name);

// Reads and returns, whether the bytes are good or refused.
void read_or_refuse(const FuzzedReader& reader, std::span<const std::uint8_t> bytes,
                    const std::filesystem::path& directory);

}  // namespace slopewise
