// Data sets from folders of pictures.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "load_support.hpp"

namespace slopewise {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class FolderTest : public LoadTest {
 protected:
  // A grey 2 × 3 picture.
  void put_grey(const std::string& name, int first) const {
    put_text(name, fmt::format("P2 # text\n3 2\n255\n{} 1 2 3 4 5\n", first));
  }
};

TEST_F(FolderTest, EachFolderIsAClass) {
  put_grey("set/cat/1.pgm", 10);
  put_grey("set/dog/1.PGM", 20);
  put("set/dog/2.ppm", joined(std::string("P6\n3 2\n255\n"), Bytes(18, 7)));
  put_text("set/dog/notes.txt", "no picture");
  const DataSplit split = load_dataset(set_, {.test_share = 0.34});
  EXPECT_EQ(split.format, "image folders");
  EXPECT_EQ(split.train.image_shape, (Shape{2, 3, 3}));
  EXPECT_THAT(split.train.class_names, ElementsAre("cat", "dog"));
  EXPECT_EQ(split.train.count() + split.test.count(), 3);
}

TEST_F(FolderTest, TrainAndTest) {
  for (const char* set : {"train", "test"}) {
    put_grey(fmt::format("set/{}/b/1.pgm", set), 10);
    put_grey(fmt::format("set/{}/a/1.pgm", set), 20);
  }
  const DataSplit split = load_dataset(set_);
  EXPECT_THAT(split.train.labels, ElementsAre(0, 1));
  EXPECT_THAT(stored(split.test), ElementsAre(20, 1, 2, 3, 4, 5, 10, 1, 2, 3, 4, 5));
}

TEST_F(FolderTest, AValidationSetIsTheTestSetWhereThereIsNone) {
  put_grey("set/train/a/1.pgm", 10);
  EXPECT_THAT(load_error(set_),
              AllOf(HasSubstr("found train but none of test, val, valid, validation"), HasSubstr("--test-share")));
  for (const char* name : {"validation", "valid", "val"}) {
    put_grey(fmt::format("set/{}/a/1.pgm", name), 20);
    EXPECT_EQ(stored(load_dataset(set_).test).front(), 20);
  }
  EXPECT_THAT(load_dataset(set_).left_out, ElementsAre("the directory valid", "the directory validation"));
  put_grey("set/test/a/1.pgm", 30);
  const DataSplit split = load_dataset(set_);
  EXPECT_EQ(stored(split.test).front(), 30);
  EXPECT_THAT(split.left_out, ElementsAre("the directory val", "the directory valid", "the directory validation"));
  // Pictures without classes are no class called test.
  std::filesystem::remove_all(set_ / "test/a");
  put_grey("set/test/1.pgm", 30);
  EXPECT_EQ(stored(load_dataset(set_).test).front(), 20);
  EXPECT_EQ(load_dataset(set_).left_out.front(), "the directory test");
  for (const char* name : {"validation", "valid", "val"}) std::filesystem::remove_all(set_ / name);
  EXPECT_THAT(load_error(set_), HasSubstr("expected a folder of pictures for each class in test, found none"));
}

TEST_F(FolderTest, PicturesWithoutFoldersHaveNoLabels) {
  put_grey("set/2.pgm", 20);
  put_grey("set/10.pgm", 10);
  const Dataset network{.image_shape = {2, 3, 1}, .classes = 2, .class_names = {"cat", "dog"}};
  const Dataset set = load_dataset(set_, {.like = &network, .judged = true, .labels_needed = false}).test;
  EXPECT_FALSE(set.labelled);
  EXPECT_THAT(stored(set), ElementsAre(10, 1, 2, 3, 4, 5, 20, 1, 2, 3, 4, 5));
  for (const LoadOptions& options : {LoadOptions{}, LoadOptions{.like = &network, .judged = true}})
    EXPECT_THAT(load_error(set_, options), HasSubstr("pictures that lie in no folder, expected one for each class"));
}

TEST_F(FolderTest, SaysWhatIsWrong) {
  put_grey("set/cat/1.pgm", 10);
  put_text("set/cat/2.pgm", "P2 1 1 255 7");
  EXPECT_THAT(load_error(set_), HasSubstr("1×1 pixels, expected 2×3 as in"));
  put_text("set/cat/2.pgm", "P2 100000 100000 255 7");
  EXPECT_THAT(load_error(set_), HasSubstr("100000×100000 pixels"));
  put_text("set/cat/2.pgm", "GIF89a");
  EXPECT_THAT(load_error(set_), HasSubstr("expected a PNG, JPEG, PPM or PGM picture"));
}

}  // namespace
}  // namespace slopewise
