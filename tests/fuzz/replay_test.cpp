// The corpus, read once more: what the fuzzer found stays fixed, and each format has an input that is read to its end.
#include <gtest/gtest.h>

#include "readers.hpp"
#include "slopewise/base/error.hpp"
#include "tests/data/support.hpp"

namespace slopewise {
namespace {

class Corpus : public FileTest, public testing::WithParamInterface<FuzzedReader> {};

TEST_P(Corpus, IsReadOrRefused) {
  int good = 0, refused = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(SLOPEWISE_CORPUS) / GetParam().name)) {
    SCOPED_TRACE(entry.path().filename().string());
    const Bytes bytes = file_bytes(entry.path());
    const std::filesystem::path directory = directory_ / entry.path().filename();
    std::filesystem::create_directory(directory);
    try {
      GetParam().read(bytes, directory);
      ++good;
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GE(good, 1);
  EXPECT_GE(refused, 1);
}

INSTANTIATE_TEST_SUITE_P(OfEachReader, Corpus, testing::ValuesIn(fuzzed_readers().begin(), fuzzed_readers().end()),
                         [](const auto& reader) { return std::string(reader.param.name); });

}  // namespace
}  // namespace slopewise
