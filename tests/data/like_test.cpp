// Data sets as a model reads them: names, shapes and types of its inputs, a label for each place of its output.
#include <gmock/gmock.h>

#include "slopewise/data/load.hpp"
#include "slopewise/data/npz.hpp"
#include "slopewise/objective/example_batch.hpp"
#include "support.hpp"

namespace slopewise {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Tokens (3), counts (3) of numbers, and a label for each token.
Dataset tagger() {
  return {.input_name = "tokens",
          .image_shape = {3},
          .classes = 4,
          .integers = true,
          .others = {{.name = "counts", .shape = {3}}},
          .label_shape = {3},
          .ignored = -100};
}

class LikeTest : public FileTest {
 protected:
  std::filesystem::path npz_ = directory_ / "some.npz";
  Dataset like_ = tagger();
  LoadOptions options_{.like = &like_, .trained = false};
  std::vector<std::int32_t> tokens_{1, 2, 30000, 4, 5, 6}, labels_{0, 3, -100, 1, 1, 2};
  std::vector<float> counts_{1, 0.5F, 0, 1, 1, 1};

  void put_npz(const std::string& tokens = "tokens", const std::string& labels = "y") {
    NpzWriter file(npz_);
    for (const char* set : {"_train", "_test"}) {
      file.add<std::int32_t>(tokens + set, {2, 3}, tokens_);
      file.add<float>("counts" + std::string(set), {2, 3}, counts_);
      file.add<std::int32_t>(labels + set, {2, 3}, labels_);
    }
    file.commit();
  }
  std::string error() {
    return file_error([&] { load_dataset(npz_, options_); });
  }
};

TEST_F(LikeTest, InputsAreFoundByTheModelsNamesOrTheUsualOnes) {
  for (const char* tokens : {"tokens", "x"}) {
    for (const char* labels : {"y", "label", "labels"}) {
      if (std::string(tokens) == "x" && std::string(labels) != "y") continue;
      put_npz(tokens, labels);
      const DataSplit split = load_dataset(npz_, options_);
      EXPECT_EQ(split.train.scaling.rule, Scaling::Rule::kNone);
      EXPECT_EQ(split.train.classes, 4);
      EXPECT_EQ(split.train.count(), 2);
      const ExampleBatch<float> batch(split.train, std::vector<Index>{1, 0});
      const Batch<float> found = batch.batch();
      ASSERT_EQ(found.inputs.size(), 3u);
      EXPECT_THAT(std::get<1>(found.inputs[0]), ElementsAre(4, 5, 6, 1, 2, 30000));
      EXPECT_THAT(std::get<0>(found.inputs[1]), ElementsAre(1, 1, 1, 1, 0.5F, 0));
      EXPECT_THAT(std::get<1>(found.inputs[2]), ElementsAre(1, 1, 2, 0, 3, -100));
      EXPECT_EQ(ExampleBatch<float>::bytes(split.train, 2), 2 * 3 * 3 * 4);
    }
  }
}

TEST_F(LikeTest, OneSetIsParted) {
  NpzWriter file(npz_);
  file.add<std::int32_t>("tokens", {2, 3}, tokens_);
  file.add<float>("counts", {2, 3}, counts_);
  file.add<std::int32_t>("label", {2, 3}, labels_);
  file.commit();
  options_.test_share = 0.5;
  const DataSplit split = load_dataset(npz_, options_);
  std::vector<std::int32_t> labels = split.train.labels;
  labels.insert(labels.end(), split.test.labels.begin(), split.test.labels.end());
  EXPECT_THAT(labels, testing::UnorderedElementsAreArray(labels_));
  const ExampleBatch<float> test(split.test, std::vector<Index>{0});
  const Batch<float> found = test.batch();
  const bool second = split.test.selection[0] == 1;
  EXPECT_THAT(std::get<1>(found.inputs[0])[0], second ? 4 : 1);
  EXPECT_THAT(std::get<0>(found.inputs[1])[1], second ? 1 : 0.5F);
  EXPECT_THAT(std::get<1>(found.inputs[2])[0], second ? 1 : 0);
}

TEST_F(LikeTest, ArraysAreTakenFromWhereTheyLie) {
  put_npz();
  options_.judged = true;
  const std::map<std::string, ArrayPlace> places{
      {"tokens", {npz_, "tokens_test"}}, {"counts", {npz_, "counts_test"}}, {"label", {npz_, "y_test"}}};
  const Dataset test = load_arrays(places, options_).test;
  EXPECT_EQ(test.count(), 2);
  EXPECT_EQ(test.labels, labels_);
  const auto refused = [&](std::map<std::string, ArrayPlace> wrong) {
    try {
      load_arrays(wrong, options_);
    } catch (const ArgumentError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  auto wrong = places;
  wrong.erase("counts");
  EXPECT_THAT(refused(wrong), HasSubstr("expected counts, which the model reads, found label, tokens"));
  wrong = places;
  wrong["mask"] = {npz_, "counts_test"};
  EXPECT_THAT(refused(wrong), HasSubstr("the model reads no mask; expected its inputs and label"));
  wrong = places;
  wrong["counts"] = {npz_, "none"};
  EXPECT_THAT(refused(wrong), HasSubstr("found no array \"none\""));
  wrong["counts"] = {npz_, ""};
  EXPECT_THAT(refused(wrong), HasSubstr("found no array \"\""));
}

TEST_F(LikeTest, SaysWhatDoesNotFit) {
  labels_[1] = 4;
  put_npz();
  EXPECT_THAT(error(), HasSubstr("label 1 is 4, expected a whole number from 0 to 3"));
  labels_[1] = 3;
  like_.ignored.reset();
  put_npz();
  EXPECT_THAT(error(), HasSubstr("label 2 is -100"));
  like_ = tagger();
  like_.label_shape = {};
  EXPECT_THAT(error(), HasSubstr("expected one label an example, a number or a single 1 among zeros, found 3 numbers"));
  like_ = tagger();
  like_.others[0].shape = {4};
  EXPECT_THAT(error(), HasSubstr("examples of the input counts are (3), expected (4), as the model reads"));
  like_.others[0] = {.name = "mask", .shape = {3}};
  EXPECT_THAT(error(), HasSubstr("found no array mask_train or train_mask for the model's input mask"));
  like_ = tagger();
  like_.image_shape = {5};
  EXPECT_THAT(error(), HasSubstr("examples are (3), expected (5), as the model reads"));
  like_ = tagger();
  like_.others[0].integers = true;
  EXPECT_THAT(error(), HasSubstr("example 0 of the input counts: found 0.5, expected whole numbers of 32 bits"));
  put_npz("tokens", "answers");
  like_ = tagger();
  EXPECT_THAT(error(), HasSubstr("found tokens_train but none of label_train"));
}

TEST_F(LikeTest, ShapesAreTakenAsTheModelReadsThem) {
  NpzWriter file(npz_);
  const std::vector<float> x(2 * 2 * 6, 0.25F);
  const std::vector<std::int32_t> y{0, 1};
  for (const char* set : {"_train", "_test"}) {
    file.add<float>("x" + std::string(set), {2, 2, 6}, x);
    file.add<std::int32_t>("y" + std::string(set), {2}, y);
  }
  file.commit();
  for (const Shape& shape : {Shape{2, 6}, Shape{1, 2, 6}, Shape{2, 6, 1}, Shape{12}}) {
    like_ = {.image_shape = shape, .classes = 5};
    const DataSplit split = load_dataset(npz_, options_);
    EXPECT_EQ(split.train.image_shape, shape);
    EXPECT_EQ(split.train.classes, 5);
    EXPECT_EQ(split.train.scaling.rule, Scaling::Rule::kNone);
  }
  for (const Shape& shape : {Shape{6, 2}, Shape{3, 4}, Shape{13}, Shape{2, 2, 3, 1}}) {
    like_ = {.image_shape = shape, .classes = 5};
    EXPECT_THAT(error(), HasSubstr("as the model reads")) << shape.to_string();
  }
}

TEST_F(LikeTest, ImagesAreTakenWithTheirChannelsWhereTheyLie) {
  const auto layout = [&](const Shape& example, const Shape& wanted) {
    std::vector<Index> train = example.extents();
    train.insert(train.begin(), 2);
    NpzWriter file(npz_);
    const std::vector<float> x(static_cast<std::size_t>(2 * example.size()), 0.5F);
    const std::vector<std::int32_t> y{0, 1};
    for (const char* set : {"_train", "_test"}) {
      file.add<float>("x" + std::string(set), Shape(train), x);
      file.add<std::int32_t>("y" + std::string(set), {2}, y);
    }
    file.commit();
    like_ = {.image_shape = wanted, .classes = 2};
    try {
      return load_dataset(npz_, options_).train.channels_first ? "first" : "last";
    } catch (const Error&) {
      return "refused";
    }
  };
  EXPECT_STREQ(layout({8, 10, 3}, {8, 10, 3}), "last");
  EXPECT_STREQ(layout({3, 8, 10}, {8, 10, 3}), "first");
  EXPECT_STREQ(layout({8, 10, 3}, {10, 3, 8}), "first");  // a file that reads (8, 10, 3)
  EXPECT_STREQ(layout({6, 1, 6}, {1, 6, 6}), "first");
  EXPECT_STREQ(layout({5, 5, 5}, {5, 5, 5}), "refused");  // either
  EXPECT_STREQ(layout({9, 9}, {9, 9, 1}), "last");
  EXPECT_STREQ(layout({10, 8, 3}, {8, 10, 3}), "refused");
}

TEST_F(LikeTest, WhatIsLearnedIsHeldToTheModel) {
  NpzWriter file(npz_);
  const std::vector<float> x(4 * 3, 0.5F), one{1, 2, 3, 4};
  const std::vector<std::int32_t> none{-1, -1, -1, -1};
  for (const char* set : {"_train", "_test"}) {
    file.add<float>("x" + std::string(set), {4, 3}, x);
    file.add<float>("y" + std::string(set), {4}, one);
    file.add<std::int32_t>("label" + std::string(set), {4}, none);
  }
  file.commit();
  like_ = {.image_shape = {3}, .outputs = 2, .target_mean = {0, 0}, .target_deviation = {1, 1}};
  EXPECT_THAT(error(), HasSubstr("1 numbers to predict an example, expected 2, as the model answers"));
  like_ = {.input_name = "x", .image_shape = {3}, .classes = 2, .ignored = -1};
  EXPECT_THAT(error(), HasSubstr("all labels are -1, which do not count"));
  options_.target = TargetKind::kNumber;
  try {
    load_dataset(npz_, options_);
    ADD_FAILURE() << "taken";
  } catch (const ArgumentError& refused) {
    EXPECT_THAT(refused.what(), HasSubstr("--target: expected class, as the model answers"));
  }
}

TEST_F(LikeTest, OneHotLabelsAreTheModelsClasses) {
  NpzWriter file(npz_);
  const std::vector<float> x(2 * 4, 0.5F), y{0, 0, 1, 1, 0, 0};
  for (const char* set : {"_train", "_test"}) {
    file.add<float>("x" + std::string(set), {2, 4}, x);
    file.add<float>("y" + std::string(set), {2, 3}, y);
  }
  file.commit();
  like_ = {.image_shape = {4}, .classes = 3};
  EXPECT_THAT(load_dataset(npz_, options_).test.labels, ElementsAre(2, 0));
  like_.class_names = {"0", "10", "20"};
  EXPECT_THAT(load_dataset(npz_, options_).test.labels, ElementsAre(2, 0));
  like_.classes = 2;
  EXPECT_THAT(error(),
              HasSubstr("a single 1 among 3 numbers an example, expected 2, the classes that the model answers"));
  like_ = {.image_shape = {4}, .outputs = 3, .target_mean = {0, 0, 0}, .target_deviation = {1, 1, 1}};
  EXPECT_THAT(load_dataset(npz_, options_).test.targets, ElementsAre(0, 0, 1, 1, 0, 0));
}

TEST_F(LikeTest, NumbersThatNameClassesAreFoundByName) {
  const auto labels = [&](const std::vector<std::int32_t>& found) {
    NpzWriter file(npz_);
    const std::vector<float> x(2 * 4, 0.5F);
    file.add<float>("x", {2, 4}, x);
    file.add<std::int32_t>("y", {2}, found);
    file.commit();
    options_.judged = true;
    return load_dataset(npz_, options_).test.labels;
  };
  like_ = {.image_shape = {4}, .classes = 3, .class_names = {"0", "10", "20"}};
  EXPECT_THAT(labels({20, 10}), ElementsAre(2, 1));
  EXPECT_THAT(labels({0, 0}), ElementsAre(0, 0));
  EXPECT_THROW(labels({1, 2}), FileError);
  like_.class_names = {"-1", "0", "1"};
  EXPECT_THAT(labels({0, 1}), ElementsAre(1, 2));
  like_.class_names = {"cat", "dog", "cow"};
  EXPECT_THAT(labels({1, 2}), ElementsAre(1, 2));
}

}  // namespace
}  // namespace slopewise
