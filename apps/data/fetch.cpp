#include "apps/data/fetch.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>
#include <sstream>

#include "apps/data/archive.hpp"
#include "apps/data/download.hpp"
#include "slopewise/base/atomic_file.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/input_file.hpp"
#include "slopewise/report/format.hpp"
#include "slopewise/report/text.hpp"

namespace slopewise {
namespace {

struct Source {
  std::string name;
  std::vector<std::string> mirrors;  // tried in turn; a sum makes the plain ones as good as the others
  std::vector<RemoteFile> files;
  std::vector<std::string> members;  // to unpack from the only file, an archive
};

// Where the sums come from is told in docs/data.md.
const std::vector<Source>& sources() {
  static const std::vector<Source> all = {
      {.name = "mnist",
       .mirrors = {"https://ossci-datasets.s3.amazonaws.com/mnist/",
                   "https://storage.googleapis.com/cvdf-datasets/mnist/"},
       .files = {{"train-images-idx3-ubyte.gz", "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                  9'912'422},
                 {"train-labels-idx1-ubyte.gz", "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                  28'881},
                 {"t10k-images-idx3-ubyte.gz", "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                  1'648'877},
                 {"t10k-labels-idx1-ubyte.gz", "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                  4'542}}},
      {.name = "fashion-mnist",
       .mirrors = {"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
                   "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"},
       .files = {{"train-images-idx3-ubyte.gz", "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                  26'421'880},
                 {"train-labels-idx1-ubyte.gz", "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                  29'515},
                 {"t10k-images-idx3-ubyte.gz", "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                  4'422'102},
                 {"t10k-labels-idx1-ubyte.gz", "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                  5'148}}},
      {.name = "cifar10",
       .mirrors = {"https://www.cs.toronto.edu/~kriz/",
                   "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/"},
       .files = {{"cifar-10-binary.tar.gz", "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                  170'052'171}},
       .members = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin",
                   "test_batch.bin", "batches.meta.txt"}}};
  return all;
}

constexpr std::int64_t kMostTimes = 4;
constexpr std::uint64_t kMostSumsBytes = std::uint64_t{16} << 20;

// What sha256sum wrote: lines of 64 hexadecimal digits, a space, a space or asterisk, and a name.
std::map<std::string, std::string> read_sums(const std::string& path) {
  std::istringstream file(read_text(path, kMostSumsBytes));
  std::map<std::string, std::string> sums;
  std::string line;
  while (std::getline(file, line)) {
    if (line.empty()) continue;
    std::string sum = line.substr(0, 64);
    std::ranges::transform(sum, sum.begin(),
                           [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c; });
    if (sum.find_first_not_of("0123456789abcdef") != std::string::npos || line.size() < 67 || line[64] != ' ') {
      throw FileError(fmt::format("{}: expected lines of a SHA-256 and a name, as sha256sum writes them, found {:?}",
                                  path, line.substr(0, 100)));
    }
    sums[line.substr(66)] = sum;
  }
  return sums;
}

// The files with the sums, and without the sizes, that the options ask for.
std::vector<RemoteFile> files_of(const Source& source, const std::string& sums_path) {
  std::vector<RemoteFile> files = source.files;
  if (sums_path.empty()) return files;
  const auto sums = read_sums(sums_path);
  for (RemoteFile& file : files) {
    const auto sum = sums.find(file.name);
    if (sum == sums.end()) throw FileError(fmt::format("{}: found no sum of {}", sums_path, file.name));
    // Compressed anew, a file is not of the same size, but of the same kind of size.
    file = {.name = file.name, .sha256 = sum->second, .most = kMostTimes * file.bytes};
  }
  return files;
}

std::vector<std::string> mirrors_of(const Source& source, std::string from) {
  if (from.empty()) return source.mirrors;
  if (!from.starts_with("http://") && !from.starts_with("https://")) {
    throw ArgumentError(fmt::format("--from: expected a URL that starts with http:// or https://, found {}", from));
  }
  if (!from.ends_with('/')) from += '/';
  return {from};
}

}  // namespace

std::vector<std::string> fetchable_names() {
  std::vector<std::string> names;
  for (const Source& source : sources()) names.push_back(source.name);
  return names;
}

int fetch(const FetchOptions& options) {
  const auto source = std::ranges::find(sources(), options.name, &Source::name);
  if (source == sources().end()) {
    throw ArgumentError(
        fmt::format("data fetch: expected one of {}, found {}", fmt::join(fetchable_names(), ", "), options.name));
  }
  const std::vector<std::string> mirrors = mirrors_of(*source, options.from);
  const std::vector<RemoteFile> files = files_of(*source, options.sums);
  const std::filesystem::path directory = options.out.empty() ? options.name : options.out;
  ensure_writable_directory(directory);

  double total = 0;
  for (const RemoteFile& file : files) total += static_cast<double>(file.bytes);
  {
    Progress progress("fetch " + source->name, total, {.quiet = options.quiet, .unit = "bytes"});
    for (const RemoteFile& file : files) {
      progress.note(file.name);
      const std::filesystem::path path = directory / file.name;
      std::string origin = "was there";
      if (std::filesystem::exists(path)) {
        if (const std::string found = sha256_of(path); found != file.sha256) {
          throw FileError(fmt::format("{}: SHA-256 is {}, expected {}; remove the file to fetch it anew", path.string(),
                                      found, file.sha256));
        }
        progress.advance(static_cast<double>(file.bytes));
      } else {
        origin = "from " + download(file, mirrors, directory, progress);
      }
      std::cout << fmt::format("{}  {}  {}\n", printable(path.string()),
                               format_bytes(static_cast<std::int64_t>(std::filesystem::file_size(path))),
                               printable(origin))
                << std::flush;
    }
  }
  if (!source->members.empty()) {
    unpack(directory / files.front().name, source->members, directory);
    std::cout << fmt::format("unpacked {}\n", fmt::join(source->members, ", "));
  }
  std::cout << fmt::format("Whole and as expected. Try: slopewise data show {}\n", printable(directory.string()));
  return 0;
}

}  // namespace slopewise
