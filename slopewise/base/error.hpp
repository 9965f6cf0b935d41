// The one family of exceptions: each says where, what was found and what was expected.
#pragma once

#include <stdexcept>
#include <string>

namespace slopewise {

// What every Slopewise error derives from. `exit_code` is what the command line returns: 1, the work failed;
// 2, it was asked for wrongly.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, int exit_code = 1) : std::runtime_error(message), exit_code_(exit_code) {}
  int exit_code() const { return exit_code_; }

 private:
  int exit_code_;
};

// An argument or option outside what the function accepts.
class ArgumentError : public Error {
 public:
  explicit ArgumentError(const std::string& message) : Error(message, 2) {}
};

// Shapes that do not fit together; the message names the op or argument and both shapes.
class ShapeError : public Error {
 public:
  explicit ShapeError(const std::string& message) : Error(message, 2) {}
};

// A file that cannot be read or written, or whose content is not what its format promises; names the file.
class FileError : public Error {
 public:
  explicit FileError(const std::string& message) : Error(message, 1) {}
};

// A NaN or an infinity where a finite number is needed; names the op or step that first made it.
class NumericError : public Error {
 public:
  explicit NumericError(const std::string& message) : Error(message, 1) {}
};

// Thrown when the user interrupted the run (see interrupt.hpp).
class Interrupted : public Error {
 public:
  explicit Interrupted(const std::string& message) : Error(message, 1) {}
};

}  // namespace slopewise
