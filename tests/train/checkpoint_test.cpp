#include "slopewise/train/checkpoint.hpp"

#include <gmock/gmock.h>

#include <functional>

#include "slopewise/base/error.hpp"
#include "tests/data/support.hpp"

namespace slopewise {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class CheckpointTest : public FileTest {
 protected:
  CheckpointTest() {
    layout_.add("weight", {2, 3}, {}, 2);
    layout_.add_bias("bias", 0);
  }
  void write() const {
    CheckpointWriter file;
    file.add("block1.", layout_, theta_);
    file.add("momentum", StateView<float>{.steps = 7, .vectors = {{"velocity", theta_}}});
    file.add("mean", StateView<double>{.steps = 3, .vectors = {{"average", wide_}, {"empty", {}}}});
    file.set("step", "12");
    file.save(path_);
  }
  std::string error_of(const std::function<void(CheckpointReader&)>& use = {}) const {
    try {
      CheckpointReader file(path_);
      if (use) use(file);
    } catch (const FileError& error) {
      EXPECT_THAT(error.what(), HasSubstr("a.safetensors"));
      return error.what();
    }
    return "";
  }

  const std::filesystem::path path_ = directory_ / "a.safetensors";
  ParameterLayout layout_;
  const std::vector<float> theta_{1, 2, 3, 4, 5, 6, -7, 0.1f};
  const std::vector<double> wide_{0.1, 1e-300};
};

TEST_F(CheckpointTest, GivesBackWhatWasPutIn) {
  write();
  CheckpointReader file(path_);
  std::vector<float> theta(8);
  read_weights(file.file(), "block1.", layout_, theta);
  EXPECT_EQ(theta, theta_);
  EXPECT_EQ(file.file().shape("block1.weight"), (Shape{2, 3}));
  const std::vector<float> like(8);
  const std::vector<double> wide_like(2);
  const auto momentum = file.state("momentum", StateView<float>{.vectors = {{"velocity", like}}});
  const auto mean = file.state("mean", StateView<double>{.vectors = {{"average", wide_like}, {"empty", {}}}});
  EXPECT_EQ(momentum.steps, 7);
  EXPECT_THAT(momentum.vectors[0].values, testing::ElementsAreArray(theta_));
  EXPECT_EQ(mean.steps, 3);
  EXPECT_THAT(mean.vectors[0].values, ElementsAre(0.1, 1e-300));
  EXPECT_EQ(file.get_integer("step"), 12);
}

// A run may write its next checkpoint while another process goes on from this one.
TEST_F(CheckpointTest, ReadsTheFileWhoseChecksumItHasSeen) {
  write();
  CheckpointReader file(path_);
  CheckpointWriter other;
  const std::vector<float> longer(100, 1e30f);
  other.add("block0.", layout_, std::span(longer).first(8));
  other.add("momentum", StateView<float>{.steps = 8, .vectors = {{"velocity", longer}}});
  other.save(path_);
  std::vector<float> theta(8);
  read_weights(file.file(), "block1.", layout_, theta);
  EXPECT_EQ(theta, theta_);
}

TEST_F(CheckpointTest, EqualContentMakesEqualFiles) {
  write();
  const Bytes first = file_bytes(path_);
  write();
  EXPECT_EQ(file_bytes(path_), first);
}

TEST_F(CheckpointTest, WhatIsMissingOrOfAnotherSizeIsNamed) {
  write();
  const std::vector<float> few(3), many(8);
  const auto state = [&](const char* name, const char* vector, std::span<const float> like) {
    return [=](CheckpointReader& file) { file.state(name, StateView<float>{.vectors = {{vector, like}}}); };
  };
  EXPECT_THAT(error_of(state("momentum", "velocity", few)), HasSubstr("velocity"));
  EXPECT_THAT(error_of(state("momentum", "moment", many)), HasSubstr("moment"));
  EXPECT_THAT(error_of(state("adam", "velocity", many)), HasSubstr("expected 'state/adam/steps'"));
  // What was kept in double is not rounded.
  EXPECT_THAT(error_of(state("mean", "average", std::span(few).first(2))), HasSubstr("average"));
  EXPECT_THAT(error_of([](CheckpointReader& file) { file.get("epoch"); }), HasSubstr("expected 'epoch'"));
  EXPECT_THAT(error_of([&](CheckpointReader& file) {
                ParameterLayout other;
                other.add("weight", {3, 2}, {}, 3);
                std::vector<float> theta(6);
                read_weights(file.file(), "block1.", other, theta);
              }),
              HasSubstr("weight"));
}

TEST_F(CheckpointTest, WordsAreNoNumbers) {
  for (const char* text : {"", "x", "1x", " 1", "1.5", "99999999999999999999"}) {
    CheckpointWriter file;
    file.set("step", text);
    file.save(path_);
    EXPECT_THAT(error_of([](CheckpointReader& reader) { reader.get_integer("step"); }), HasSubstr("expected a number"))
        << text;
  }
}

// Whatever byte has a bit turned, the file is refused.
TEST_F(CheckpointTest, FlippedBitsAreFound) {
  write();
  const Bytes whole = file_bytes(path_);
  ASSERT_EQ(error_of(), "");
  for (std::size_t i = 0; i < whole.size(); ++i) {
    Bytes damaged = whole;
    damaged[i] = static_cast<std::uint8_t>(damaged[i] ^ (1u << (i % 8)));
    put("a.safetensors", damaged);
    EXPECT_NE(error_of(), "") << "byte " << i;
  }
}

TEST_F(CheckpointTest, EveryShorterOrLongerFileIsRefused) {
  write();
  const Bytes whole = file_bytes(path_);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    put("a.safetensors", Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
    EXPECT_NE(error_of(), "") << size;
  }
  put("a.safetensors", joined(whole, Bytes{0}));
  EXPECT_NE(error_of(), "");
}

TEST_F(CheckpointTest, AFileOfTensorsThatIsNoCheckpointIsRefused) {
  const std::vector<float> values{1, 2};
  const SafetensorView tensor{"weight", {2}, values};
  save_safetensors(path_, std::span(&tensor, 1));
  EXPECT_THAT(error_of(), HasSubstr("expected 'crc32'"));
}

}  // namespace
}  // namespace slopewise
