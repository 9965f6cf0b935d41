// `slopewise data split`: a set of several people's examples as a task of adapting to one of them.
#pragma once

#include <cstdint>
#include <string>

namespace slopewise {

struct SplitOptions {
  std::string file;           // an .npz file
  std::string by;             // the array that says whose each example is
  std::int64_t held_out = 0;  // whose are left out
  std::int64_t shots = 0;     // of these so many of each class train, and the rest of them test; 0: all others' train
  std::uint64_t seed = 1;
  std::string out;
};

// Writes an .npz file with NAME_train and NAME_test for every array that has an entry for each example. Returns the
// exit code. Throws FileError for a file that lacks what it needs, ArgumentError for nobody's examples and too few.
int split(const SplitOptions& options);

}  // namespace slopewise
