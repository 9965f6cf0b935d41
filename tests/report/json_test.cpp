#include "slopewise/report/json.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "slopewise/base/error.hpp"

namespace slopewise {
namespace {

class JsonTest : public testing::Test {
 protected:
  JsonTest() {
    std::string name = testing::TempDir() + "slopewise-json-XXXXXX";
    directory_ = ::mkdtemp(name.data());
  }
  ~JsonTest() override { std::filesystem::remove_all(directory_); }

  std::string written(const nlohmann::ordered_json& document) const {
    write_json(path(), document);
    std::ifstream file(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::filesystem::path path() const { return directory_ / "results.json"; }

  std::filesystem::path directory_;
};

TEST_F(JsonTest, IsIndentedAndEndsTheLine) {
  EXPECT_EQ(written({{"seed", 7}, {"law", "σ"}}), "{\n  \"seed\": 7,\n  \"law\": \"σ\"\n}\n");
}

TEST_F(JsonTest, DoublesKeepTheirBits) {
  EXPECT_EQ(written(0.1), "0.1\n");
  const std::vector<double> values{1.0 / 3, 1e-320, std::nextafter(1.0, 2.0), std::numeric_limits<double>::max(), -0.0};
  const auto read = nlohmann::json::parse(written(values)).get<std::vector<double>>();
  ASSERT_EQ(read.size(), values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(std::signbit(read[i]), std::signbit(values[i]));
    EXPECT_EQ(read[i], values[i]);
  }
}

TEST_F(JsonTest, WhatJsonLacksIsNull) {
  const double infinite = std::numeric_limits<double>::infinity();
  const nlohmann::ordered_json document{std::nan(""), infinite, -infinite};
  EXPECT_EQ(written(document), "[\n  null,\n  null,\n  null\n]\n");
}

TEST_F(JsonTest, BrokenTextIsReplaced) {
  EXPECT_EQ(written("a\xFF"), "\"a\uFFFD\"\n");
}

TEST_F(JsonTest, FailsByNameAndLeavesNothingBehind) {
  const std::filesystem::path missing = directory_ / "missing" / "results.json";
  try {
    write_json(missing, 1);
    FAIL() << "expected a FileError";
  } catch (const FileError& error) {
    EXPECT_NE(std::string(error.what()).find(missing.string()), std::string::npos) << error.what();
  }
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

}  // namespace
}  // namespace slopewise
