// The log of slopes: a header and one record of fixed length a step, each with a checksum (docs/log.md has every byte).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "slopewise/base/input_file.hpp"
#include "slopewise/objective/answers.hpp"

namespace slopewise {

// What follows the answers of a step whose rate follows from its direction: the slope and the second-order term along
// it, and the loss after it; 0 where it was not looked at.
inline constexpr Index kLookNumbers = 3;

struct SlopeRecord {
  float rate = 0;  // as applied
  Answers answers;
};

// Reads record after record, up to the first that is cut or damaged.
class SlopeLogReader {
 public:
  // Throws FileError where the file is no log, of another version, or damaged before its first record.
  explicit SlopeLogReader(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_.path(); }
  // What the log is of (recipe.hpp).
  const std::string& header() const { return header_; }
  // float32 numbers of each record's answers.
  Index numbers() const { return numbers_; }
  // The next step's record; nothing where no whole one follows.
  std::optional<SlopeRecord> next();
  // Records read so far.
  Index steps() const { return steps_; }
  // Whole records that the file is long enough for, damaged or not.
  Index room() const;
  // Where the last of them, or the header, ends.
  std::uint64_t end() const { return end_; }
  // Once next() has returned nothing: what follows the last whole record, as a sentence; empty where nothing does.
  const std::string& damage() const { return damage_; }

 private:
  friend class SlopeLog;
  InputFile file_;
  std::string header_;
  std::uint32_t checksum_ = 0;  // of the header
  Index numbers_ = 0, steps_ = 0;
  std::uint64_t end_ = 0;
  std::string damage_;
  std::vector<std::uint8_t> buffer_;  // read ahead
  std::uint64_t buffered_ = 0;        // where that begins in the file
};

// Appends records: each is with the system once add() returns, so that it outlives the process, and on the disk within
// about a second of training, so that a power cut costs no more.
class SlopeLog {
 public:
  // A new log in place of what is there; it appears with its whole header. Throws FileError.
  SlopeLog(const std::filesystem::path& path, const std::string& header, Index numbers);
  // Goes on after the records that `read` has read; what follows them is cut off. Throws FileError.
  explicit SlopeLog(const SlopeLogReader& read);
  ~SlopeLog();
  SlopeLog(const SlopeLog&) = delete;
  SlopeLog& operator=(const SlopeLog&) = delete;

  // Steps in the log.
  Index steps() const { return steps_; }
  // Answers with fewer numbers than the log's are filled up with zeros. Throws ArgumentError for more, FileError where
  // the record cannot be written whole; nothing of it is then left.
  void add(const SlopeRecord& record);
  // What was added is on the disk when this returns. Throws FileError.
  void flush();

 private:
  void open(bool cut);

  std::filesystem::path path_;
  std::uint32_t checksum_;
  Index numbers_, steps_ = 0;
  std::uint64_t end_;
  int descriptor_ = -1;
  double flushed_ = 0;  // seconds of the clock
  std::vector<std::uint8_t> bytes_;
};

}  // namespace slopewise
