// Data sets from tables.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <map>
#include <span>
#include <vector>

#include "load_support.hpp"

namespace slopewise {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class CsvTest : public LoadTest {
 protected:
  CsvTest() { put_text("set/test.csv", "2,9,8,7,6\n"); }
  DataSplit load(std::string_view train, const LoadOptions& options = {}) const {
    put_text("set/train.csv", train);
    return load_dataset(set_, options);
  }
  std::string error(std::string_view train, const LoadOptions& options = {}) const {
    put_text("set/train.csv", train);
    return load_error(set_, options);
  }
  // Of one file.
  DataSplit load_one(std::string_view text, LoadOptions options = {}) const {
    options.test_share = 0.25;
    return load_dataset(put_text("one.csv", text), options);
  }
  std::string question_of(std::string_view text) const {
    return question(put_text("one.csv", text), {.test_share = 0.5});
  }
};

TEST_F(CsvTest, TheLabelIsTheColumnThatIsNamed) {
  const DataSplit split = load("3,0,1,2,255\n0,4,5,6,7\n", {.label = "1"});
  EXPECT_EQ(split.format, "CSV");
  EXPECT_EQ(split.train.name, "set");
  EXPECT_EQ(split.train.image_shape, (Shape{4}));
  EXPECT_EQ(split.train.classes, 4);
  EXPECT_THAT(split.train.labels, ElementsAre(3, 0));
  EXPECT_THAT(stored(split.train), ElementsAre(0, 1, 2, 255, 4, 5, 6, 7));
  EXPECT_THAT(split.test.labels, ElementsAre(2));
  EXPECT_THAT(stored(split.test), ElementsAre(9, 8, 7, 6));
}

TEST_F(CsvTest, OrTheColumnThatAHeaderNames) {
  put_text("set/test.csv", "a,b,label,c,\"d, or \"\"e\"\"\"\n0,1,7,2,3\n");
  const DataSplit split = load("a,b,\"label\",c,\"d, or \"\"e\"\"\"\n0,1,7,2,3\n");
  EXPECT_THAT(split.train.labels, ElementsAre(7));
  EXPECT_THAT(stored(split.train), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(split.train.column_names, ElementsAre("a", "b", "c", "d, or \"e\""));
}

TEST_F(CsvTest, SquareRowsOfBytesAreImages) {
  std::string row;
  for (int i = 0; i < 64; ++i) row += fmt::format(",{}", 4 * i);
  put_text("set/test.csv", "1" + row);
  EXPECT_EQ(load("1" + row + "\n0" + row).train.image_shape, (Shape{8, 8, 1}));
  EXPECT_EQ(load("1" + row + "\n0" + row, {.layout = Layout::kTable}).train.image_shape, (Shape{64}));
}

// Elsewhere a first column of few whole numbers may be a feature.
TEST_F(CsvTest, WithoutAHeaderTheFirstColumnIsTheLabelOfImagesAlone) {
  const auto rows = [](int pixels, int step, const std::string& last) {
    std::string text;
    for (int row = 0; row < 6; ++row) {
      text += std::to_string(row % 3);
      for (int i = 1; i < pixels; ++i) text += fmt::format(",{}", step * i);
      text += fmt::format(",{}\n", last.empty() ? std::to_string(100 + row) : last);
    }
    return text;
  };
  EXPECT_EQ(load_one(rows(64, 4, "")).train.classes, 3);
  const auto asked = AllOf(HasSubstr("the first does, before other numbers"), HasSubstr("say --label COLUMN"));
  EXPECT_THAT(question_of(rows(63, 4, "")), asked);
  EXPECT_THAT(question_of(rows(64, 5, "")), asked);
  EXPECT_THAT(question_of(rows(64, 4, "0.5")), asked);
  EXPECT_THAT(question_of(rows(49, 4, "")), asked);
  EXPECT_THAT(question_of("0,5.1,3.5\n1,4.9,3.2\n0,4.7,3.25\n"), asked);
}

// As pandas' to_csv and R's write.csv write rows of a table.
TEST_F(CsvTest, AnIndexIsNoFeature) {
  for (const char* name : {"", "\"\"", "Unnamed: 0"}) {
    put_text("set/test.csv", fmt::format("{},a,label,b\n7,5,0,6\n7,7,1,8\n", name));
    const DataSplit split = load(fmt::format("{},a,label,b\n300,1,0,2\n\"0\",3,1,4\n", name));
    EXPECT_THAT(split.train.column_names, ElementsAre("a", "b"));
    EXPECT_THAT(stored(split.train), ElementsAre(1, 2, 3, 4));
    EXPECT_THAT(split.train.labels, ElementsAre(0, 1));
    EXPECT_THAT(stored(split.test), ElementsAre(5, 6, 7, 8));  // the training set says what the column is
    EXPECT_THAT(split.left_out, ElementsAre("the index in column 1"));
  }
  const auto text = put_text("one.csv", ",a,b,price\n0,1,2,1.5\n1,3,4,2.5\n2,5,6,2.25\n3,7,8,2\n");
  for (const char* label : {"price", "4"}) {
    const DataSplit split = load_dataset(text, {.test_share = 0.5, .label = label});
    EXPECT_THAT(split.train.column_names, ElementsAre("a", "b")) << label;
    EXPECT_EQ(split.train.outputs, 1);
  }
  EXPECT_THAT(question(text, {.label = "5"}), HasSubstr("or a number from 2 to 4, found 5"));
  EXPECT_THAT(load_error(put_text("one.csv", ",a,label\n0,x,1\n")), HasSubstr("column 2, \"a\" holds words"));
}

TEST_F(CsvTest, IndicesOfATableThatWasWrittenAgainArePassedOver) {
  put_text("set/test.csv", ",Unnamed: 0,a,label\n0,0,1,0\n0,0,2,1\n");  // as many as in train.csv, whatever they hold
  const DataSplit split = load(",Unnamed: 0,a,label\n0,7,1,0\n1,8,2,1\n");
  EXPECT_THAT(split.train.column_names, ElementsAre("a"));
  EXPECT_EQ(split.test.image_shape, (Shape{1}));
  EXPECT_THAT(split.left_out, ElementsAre("the index in column 1", "the index in column 2"));
}

TEST_F(CsvTest, AnUnnamedColumnOfAnythingElseIsAskedAbout) {
  put_text("set/test.csv", ",a,label\n0,1,0\n1,2,1\n");
  for (const char* rows :
       {"0.5,1,0\n1.5,2,1\n", "-1,1,0\n1,2,1\n", "1,1,0\n1,2,1\n", "1.0,1,0\n2.0,2,1\n", "x,1,0\ny,2,1\n"}) {
    put_text("set/train.csv", fmt::format(",a,label\n{}", rows));
    EXPECT_THAT(question(set_), HasSubstr("column 1 has no name, and is no index")) << rows;
  }
  EXPECT_EQ(load_one("id,a,label\n0,1,0\n1,2,1\n2,3,1\n3,4,0\n").train.image_shape, (Shape{2}));
  // --label names it.
  EXPECT_THAT(load_one(",a\n0,1\n1,2\n2,3\n3,4\n", {.label = "1"}).train.column_names, ElementsAre("a"));
}

TEST_F(CsvTest, AnIndexIsNothingANetworkReads) {
  Dataset network{
      .image_shape = {2}, .outputs = 1, .target_mean = {0}, .target_deviation = {1}, .column_names = {"size", "rooms"}};
  for (const char* text : {",size,rooms,price\n9,50,2,100.5\n", ",size,price,rooms\n9,50,100.5,2\n",
                           "size,rooms,price\n50,2,100.5\n", ",size,rooms\n9,50,2\n"}) {
    const Dataset set =
        load_dataset(put_text("one.csv", text), {.like = &network, .judged = true, .labels_needed = false}).test;
    EXPECT_THAT(stored(set), ElementsAre(50, 2)) << text;
  }
  network.column_names = {"", "rooms"};
  const auto path = put_text("one.csv", ",rooms,price\n50,2,100.5\n");
  EXPECT_THAT(stored(load_dataset(path, {.like = &network, .judged = true}).test), ElementsAre(50, 2));
}

TEST_F(CsvTest, TakesWhatSpreadsheetsWrite) {
  for (const char* text :
       {"\xEF\xBB\xBFlabel,a,b,c,d\r\n1,2,3,4,5\r\n6,7,8,9,10", "\"1\",2, 3,4 ,5\n\n6,\"7\",8,9,10\n\n",
        "\xEF\xBB\xBF"
        "1,2,3,4,5\r6,7,8,9,10\r",
        "label;a;b;c;d\n1;2;3;4;5\n6;7;8;9;10\n", "1\t2\t3\t4\t5\n6\t7\t8\t9\t10\n"}) {
    put_text("set/test.csv", text);
    const Dataset train = load(text, {.label = "1"}).train;
    EXPECT_THAT(train.labels, ElementsAre(1, 6)) << text;
    EXPECT_THAT(stored(train), ElementsAre(2, 3, 4, 5, 7, 8, 9, 10)) << text;
  }
}

TEST_F(CsvTest, TablesOfWordsAndNumbers) {
  const std::string iris =
      "sepal length,petal width,Species\n5.1,0.2,setosa\n7,1.4,versicolor\n6.3,2.5,virginica\n4.9,-0.1,setosa\n";
  const LoadOptions options{.test_share = 0.25};
  const auto path = put_text("iris.csv", iris);
  const DataSplit split = load_dataset(path, options);
  EXPECT_THAT(split.train.class_names, ElementsAre("setosa", "versicolor", "virginica"));
  EXPECT_EQ(split.train.classes, 3);
  EXPECT_EQ(split.train.count(), 3);
  EXPECT_EQ(split.test.count(), 1);
  EXPECT_THAT(split.train.column_names, ElementsAre("sepal length", "petal width"));
  // Each example in one set, with its own label.
  std::map<double, int> labels;
  for (const Dataset* set : {&split.train, &split.test}) {
    const std::vector<double> numbers = stored(*set);
    for (std::size_t i = 0; i < set->labels.size(); ++i) labels[numbers[2 * i]] = set->labels[i];
  }
  EXPECT_EQ(labels, (std::map<double, int>{{5.1, 0}, {7, 1}, {6.3, 2}, {4.9, 0}}));
  // Mean 0 and deviation 1 of the training part.
  std::vector<double> inputs(6);
  gather_inputs<double>(split.train, std::vector<Index>{0, 1, 2}, inputs);
  for (int column = 0; column < 2; ++column) {
    double sum = 0, squares = 0;
    for (int i = 0; i < 3; ++i)
      sum += inputs[2 * i + column], squares += inputs[2 * i + column] * inputs[2 * i + column];
    EXPECT_NEAR(sum, 0, 1e-12);
    EXPECT_NEAR(squares, 3, 1e-12);
  }
  EXPECT_EQ(split.test.scaling, split.train.scaling);
  EXPECT_EQ(load_dataset(put("iris.csv.gz", gzip(Bytes(iris.begin(), iris.end()))), options).train.labels,
            split.train.labels);
  EXPECT_EQ(load_dataset(path, {.test_share = 0.25, .label = "species"}).train.labels, split.train.labels);
  EXPECT_EQ(load_dataset(path, {.test_share = 0.25, .label = "3"}).train.labels, split.train.labels);
  // Some seed sets another example apart.
  bool differs = false;
  for (std::uint64_t seed = 2; seed < 20; ++seed)
    differs |= load_dataset(path, {.test_share = 0.25, .seed = seed}).train.selection != split.train.selection;
  EXPECT_TRUE(differs);
  // Without a header, as UCI has it.
  EXPECT_EQ(load_one(iris.substr(iris.find('\n') + 1)).train.labels, split.train.labels);
}

TEST_F(CsvTest, NumbersToPredict) {
  const std::string text = "size,rooms,price\n50,2,100.5\n100,3,201\n75,3,150.25\n60,1,90\n";
  const DataSplit split = load_one(text, {.label = "price"});
  EXPECT_EQ(split.train.classes, 0);
  EXPECT_EQ(split.train.outputs, 1);
  ASSERT_EQ(split.train.count(), 3);
  ASSERT_EQ(split.test.count(), 1);
  double sum = 0, squares = 0;
  for (const float target : split.train.targets) sum += target, squares += target * target;
  EXPECT_NEAR(sum, 0, 1e-6);
  EXPECT_NEAR(squares, 3, 1e-5);
  const std::map<double, double> prices{{50, 100.5}, {100, 201}, {75, 150.25}, {60, 90}};
  EXPECT_NEAR(split.test.targets[0] * split.test.target_deviation[0] + split.test.target_mean[0],
              prices.at(stored(split.test)[0]), 1e-4);
  EXPECT_EQ(load_one("a,label\n1,3\n2,4\n3,3\n5,4\n", {.target = TargetKind::kNumber}).train.outputs, 1);
}

TEST_F(CsvTest, TheLabelIsWhatANetworkDoesNotRead) {
  const Dataset network{
      .image_shape = {2}, .outputs = 1, .target_mean = {0}, .target_deviation = {1}, .column_names = {"size", "rooms"}};
  for (const char* text :
       {"size,rooms,price\n50,2,100.5\n", "size,price,rooms\n50,100.5,2\n", "price,size,rooms\n100.5,50,2\n"}) {
    for (const bool needed : {true, false}) {
      const Dataset set =
          load_dataset(put_text("one.csv", text), {.like = &network, .judged = true, .labels_needed = needed}).test;
      EXPECT_THAT(stored(set), ElementsAre(50, 2));
      EXPECT_THAT(set.targets, ElementsAre(100.5F));
    }
  }
  const auto refused = [&](const std::string& text) {
    return load_error(put_text("one.csv", text), {.like = &network, .judged = true, .labels_needed = false});
  };
  EXPECT_THAT(refused("size,price\n50,100.5\n"), HasSubstr("the columns are size, price, expected size, rooms"));
  EXPECT_THAT(refused("rooms,size\n2,50\n"), HasSubstr("the columns are rooms, size, expected size, rooms"));
  EXPECT_THAT(refused("size,label\n50,1\n"), HasSubstr("expected size, rooms"));
  const Dataset wide{.image_shape = {3},
                     .outputs = 1,
                     .target_mean = {0},
                     .target_deviation = {1},
                     .column_names = {"size", "rooms", "age"}};
  EXPECT_THAT(load_error(put_text("one.csv", "size,rooms,label\n50,2,1.5\n"), {.like = &wide, .judged = true}),
              HasSubstr("the columns are size, rooms, expected size, rooms, age"));
}

TEST_F(CsvTest, AsksWhatIsNotEvident) {
  std::string wine, many;
  for (int i = 0; i < 300; ++i) {
    wine += fmt::format("{},{},{}\n", i % 253, 0.5 * i, i % 3);
    many += fmt::format("{},{}\n", 3 * i, i % 7 + 0.5);
  }
  EXPECT_THAT(question_of(wine), AllOf(HasSubstr("here the last does: say"), HasSubstr("--label COLUMN")));
  EXPECT_THAT(question_of("0.5,1.5\n2.5,3.5\n"), HasSubstr("neither the first nor the last"));
  EXPECT_THAT(question_of("1,0.5,2\n2,1.5,3\n"), HasSubstr("the first and the last look like one"));
  EXPECT_THAT(question_of("a,b\n1,2\n3,4\n"), HasSubstr("no column is called label, class, target or y"));
  EXPECT_THAT(question_of("\"\",mpg\nMazda,21\nDatsun,22.8\n"), HasSubstr("column 1 has no name"));
  EXPECT_THAT(question_of("label,a\n" + many), HasSubstr("--target class or number"));
  EXPECT_THAT(question_of("label,a\n1.0,2\n2.0,3\n"), HasSubstr("--target class or number"));
  EXPECT_THAT(question(put_text("one.csv", "label,a\n1,2\n0,3\n")), HasSubstr("--test-share"));
  EXPECT_THAT(question(put_text("one.csv", "label,a\n1,2\n0,3\n"), {.test_share = 0.1}),
              HasSubstr("leaves 0 of the 2"));
  EXPECT_THAT(question(put_text("one.csv", "clas,a\n1,2\n0,3\n"), {.test_share = 0.5, .label = "class"}),
              HasSubstr("--label: expected a column of"));
}

TEST_F(CsvTest, WholeNumbersThatAreNoPlacesAreNames) {
  const DataSplit split = load_one("label,a\n-1,2\n1,3\n-1,4\n1,5\n");
  EXPECT_THAT(split.train.class_names, ElementsAre("-1", "1"));
  EXPECT_EQ(split.train.classes, 2);
}

TEST_F(CsvTest, SoAreThoseThatLeaveOutMorePlacesThanTheyTake) {
  const auto names = [&](const std::vector<int>& labels) {
    std::string text = "label,a\n";
    for (int i = 0; i < 2; ++i) {
      for (const int label : labels) text += fmt::format("{},{}\n", label, i);
    }
    return load_one(text).train.class_names;
  };
  EXPECT_THAT(names({0, 10, 20}), ElementsAre("0", "10", "20"));
  EXPECT_THAT(names({5, 3}), ElementsAre("3", "5"));
  EXPECT_THAT(names({1, 2, 3}), IsEmpty());
  EXPECT_THAT(names({0, 3}), IsEmpty());
  EXPECT_THAT(names({2, 4, 6}), ElementsAre("2", "4", "6"));
  EXPECT_EQ(load_one("label,a\n10,2\n20,3\n0,4\n0,5\n").train.classes, 21);  // each would hardly come twice
}

TEST_F(CsvTest, AValidationSetIsTheTestSetWhereThereIsNone) {
  std::filesystem::remove(set_ / "test.csv");
  put_text("set/train.csv", "label,a\n0,1\n1,2\n");
  for (const char* name : {"val.csv", "valid.csv", "validation.tsv"}) {
    put_text(fmt::format("set/{}", name), "label,a\n0,7\n");
    EXPECT_THAT(stored(load_dataset(set_).test), ElementsAre(7)) << name;
    put_text("set/test.csv", "label,a\n0,8\n");
    const DataSplit split = load_dataset(set_);
    EXPECT_THAT(stored(split.test), ElementsAre(8)) << name;
    EXPECT_THAT(split.left_out, ElementsAre(name));
    std::filesystem::remove(set_ / "test.csv");
    std::filesystem::remove(set_ / name);
  }
}

TEST_F(CsvTest, DecimalCommasAreNamed) {
  for (const char* text : {"a;b;label\n1,5;2,5;0\n", "a;b;label\n1;2,5;0\n", "1,5;2,5;0\n", "1,5;2,5\n", "1,5\t2\t0\n",
                           "\"1,5\",\"2,5\",0\n1,2,3\n", "a;label\n1;0\n1,5;1\n"}) {
    EXPECT_THAT(load_error(put_text("one.csv", text), {.test_share = 0.5}),
                AllOf(HasSubstr("5\", expected a point in place of the decimal comma"), HasSubstr("decimal=','")))
        << text;
  }
  EXPECT_THAT(load_one("label;a\n\"x, y\";1\nz;2\nz;3\nz;4\n").train.class_names, ElementsAre("x, y", "z"));
}

TEST_F(CsvTest, FieldsMayLieAcrossChunks) {
  std::string text;
  for (int i = 0; i < 30'000; ++i) text += std::to_string(i % 100) + ",1,22,123,250\n";
  const Dataset train = load(text, {.label = "1"}).train;
  ASSERT_EQ(train.count(), 30'000);
  const std::vector<double> numbers = stored(train);
  for (int i = 0; i < 30'000; ++i) {
    ASSERT_EQ(train.labels[i], i % 100);
    ASSERT_THAT(std::span(numbers).subspan(4 * i, 4), ElementsAre(1, 22, 123, 250)) << i;
  }
}

TEST_F(CsvTest, SaysWhatIsWrong) {
  EXPECT_THAT(error(""), HasSubstr("train.csv: expected records of examples"));
  EXPECT_THAT(error("label,a\n"), HasSubstr("expected records of examples, found none"));
  EXPECT_THAT(error("1,2,3,4,5\n1,2,3,4\n"), HasSubstr("record 2 has 4 fields, expected 5 as in the first"));
  EXPECT_THAT(error("1,2,3,4,5\n1,2,3,4,5,6\n"), HasSubstr("record 2 has 6 fields"));
  put_text("set/test.csv", "label,a\n1,2\n");
  EXPECT_THAT(error("label,a\n65536,2\n"), HasSubstr("label 0 is 65536, expected a whole number from 0 to 65535"));
  put_text("set/test.csv", "2,9,8,7,6\n");
  for (const char* field : {"", "0x1", "1 2", "nan", "+nan", "+inf", "+-1", "++1", "abc", "1e999"}) {
    EXPECT_THAT(error("1,2,3,4,5\n1,2," + std::string(field) + ",4,5\n"), HasSubstr("record 2, column 3")) << field;
  }
  EXPECT_THAT(error("label,a\n1,?\n"), HasSubstr("record 2, column 2, \"a\": found \"?\", expected a finite number"));
  EXPECT_THAT(error("label,a,city\n1,2,Rome\n"), HasSubstr("column 3, \"city\" holds words, as \"Rome\""));
  EXPECT_THAT(error("label,a,b,c,label\n1,2,3,4,5\n"), HasSubstr("two columns are called label"));
  EXPECT_THAT(error("1\n"), HasSubstr("0 columns beside the label"));
  EXPECT_THAT(error("1,2,\"3,4,5\n1,2,3,4,5\n"), HasSubstr("RFC 4180"));
  EXPECT_THAT(error("1,2,\"3\"3,4,5\n"), HasSubstr("RFC 4180"));
  EXPECT_THAT(error("1,2,3\"3,4,5\n"), HasSubstr("RFC 4180"));
  EXPECT_THAT(error("label,\"" + std::string(3 << 20, 'a')), HasSubstr("RFC 4180"));
  std::string many = "1";
  for (int i = 0; i < 1'100'000; ++i) many += ",1";
  EXPECT_THAT(error(many), HasSubstr("more than 1048576 fields"));
  put_text("set/test.csv", "2,9,8,7\n");
  EXPECT_THAT(error("3,0,1,2,255\n0,4,5,6,7\n", {.label = "1"}), HasSubstr("train images are (4) but test images"));
  std::filesystem::remove(set_ / "test.csv");
  EXPECT_THAT(error("1,2,3,4,5\n"), HasSubstr("looked for test.csv"));
}

// Text may end after any digit and still be text: what was read then is a beginning of the whole.
TEST_F(CsvTest, TruncatedOrDamaged) {
  put_text("set/test.csv", "label,a,b,c,d\n2,9,8,7,6\n");
  const auto file = put_text("set/train.csv", "label,a,b,c,d\n3,10,111,112,255\n10,44,5,66,217\n");
  int read = 0;
  truncate_everywhere(set_, file, 1, [&](const DataSplit& split) {
    ++read;
    ASSERT_LE(split.train.count(), 2);
    const std::vector<double> numbers = stored(split.train);
    EXPECT_THAT(std::span(numbers).first(3), ElementsAre(10, 111, 112));
  });
  EXPECT_EQ(read, 7);  // within "255", after it and its line break, within "217" and after it
  EXPECT_GT(damage(set_, file, 500), 250);
}

}  // namespace
}  // namespace slopewise
