// `slopewise data fetch`: well-known data sets from their public mirrors.
#pragma once

#include <string>
#include <vector>

namespace slopewise {

struct FetchOptions {
  std::string name;  // of fetchable_names()
  std::string out;   // the directory; empty: the data set's name
  std::string from;  // a URL to take the files from instead of the mirrors; empty: the mirrors
  std::string sums;  // a file as sha256sum writes it, instead of the built-in sums; empty: those
  bool quiet = false;
};

std::vector<std::string> fetchable_names();

// Downloads what the directory lacks, checks all of it, unpacks it where it is an archive, and says where each file
// came from. Returns the exit code. Throws ArgumentError for a name or URL of another kind; FileError if a file cannot
// be had, is there with other content, or has no sum; Interrupted after Ctrl-C.
int fetch(const FetchOptions& options);

}  // namespace slopewise
