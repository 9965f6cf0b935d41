// The pages of report.html, from results made by hand.
#include "slopewise/report/page.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "slopewise/base/error.hpp"
#include "slopewise/report/charts.hpp"
#include "slopewise/report/html.hpp"
#include "slopewise/report/resources.hpp"

namespace slopewise {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::ordered_json;

Json claim(const std::string& id, const Json& series) {
  return {{"id", id},           {"statement", "a < b & c"}, {"equation", "10"}, {"quantity", "exponent"},
          {"predicted", -1},    {"measured", -0.998},       {"low", -1.02},     {"high", -0.97},
          {"verdict", "holds"}, {"condition", ""},          {"timed", false},   {"seconds", 1},
          {"series", series}};
}

RunFiles study(const Json& claims) {
  return {.directory = "runs/here",
          .results = {{"schema", "slopewise.study/1"},
                      {"version", "0.1.0"},
                      {"seed", 7},
                      {"data", "built-in digits"},
                      {"model", "mlp 784-16-10"},
                      {"parameters", 12730},
                      {"batch", 16},
                      {"quick", true},
                      {"confidence", 0.9999},
                      {"claims", claims},
                      {"machine", {{"processor", "a < processor"}}}}};
}

// As `slopewise train` writes it, by this --method.
RunFiles training(const std::string& name, double error, const std::string& method = "local") {
  return {.directory = "runs/" + name,
          .results = {{"schema", "slopewise.train/1"},
                      {"name", name},
                      {"method", method},
                      {"steps", 1000},
                      {"seconds", 2.5},
                      {"test_error", error},
                      {"seconds_to_97", nullptr},
                      {"curve", {{{"step", 1000}, {"seconds", 2.5}, {"test_error", error}, {"test_loss", 0.1}}}}},
          .metrics = {{{"step", 0}, {"seconds", 0.1}, {"loss", 2.3}}, {{"step", 1}, {"seconds", 0.2}, {"loss", 2.2}}}};
}

Json networks() {
  Json rows = Json::array();
  rows.push_back({805, 0.00124, 0.00127, 2e-5, 4000});
  rows.push_back({3250, 0.0003, 0.0003, 5e-6, 4000});
  return Json::array({{{"name", "networks"},
                       {"columns", {"n", "predicted snr", "measured snr", "standard error", "samples"}},
                       {"rows", rows}}});
}

TEST(Html, TextCannotBecomeMarkup) {
  EXPECT_EQ(escape_html("<a href=\"x\">'&'"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;");
  EXPECT_EQ(escape_script(R"(["</script>", "<!--"])"), R"(["<\/script>", "\u003c!--"])");
  EXPECT_EQ(Json::parse(escape_script(R"(["</script>", "<!--"])")), Json::parse(R"(["</script>", "<!--"])"));
}

TEST(Html, FactsWithoutAValueAreLeftOut) {
  const std::string html = html_facts({{"seed", "7"}, {"onednn", ""}});
  EXPECT_THAT(html, HasSubstr("<dt>seed</dt><dd>7</dd>"));
  EXPECT_THAT(html, Not(HasSubstr("onednn")));
}

TEST(StudyPage, AnswersTheQuestionFromTheFigures) {
  const std::string page = report_page(std::vector{study(Json::array({claim("snr-scaling", networks())}))});
  EXPECT_THAT(page, HasSubstr("<p class=\"answer\">Undecided by this run"));
  EXPECT_THAT(page, HasSubstr("its signal-to-noise ratio goes as n to the power −0.998, as the note says"));
  EXPECT_THAT(page, HasSubstr("1 of the 1 claims measured hold"));
  EXPECT_THAT(page, HasSubstr("a &lt; b &amp; c"));
  EXPECT_THAT(page, HasSubstr("<dd>a &lt; processor</dd>"));
  EXPECT_THAT(page, Not(HasSubstr("a < b")));
}

TEST(StudyPage, AClaimThatFailsIsNotSaidToHold) {
  Json failed = claim("snr-scaling", networks());
  failed["verdict"] = "fails";
  const std::string page = study_page(study(Json::array({failed})));
  EXPECT_THAT(page, HasSubstr("not as the note says"));
  EXPECT_THAT(page, HasSubstr("0 of the 1 claims measured hold, 1 not at all"));
}

// The claim whose times answer the question, with ratios at the least and the largest network.
Json crossover(const char* verdict, double least, double most) {
  Json result = claim("crossover", Json::array());
  result["verdict"] = verdict;
  Json rows = Json::array(), remedied = Json::array();
  rows.push_back({6370, least});
  rows.push_back({203530, most});
  remedied.push_back({203530, 1.5});
  result["series"] =
      Json::array({{{"name", "time to half the initial loss"}, {"columns", {"n", "wall-time ratio"}}, {"rows", rows}},
                   {{"name", "with a learned prior"}, {"columns", {"n", "wall-time ratio"}}, {"rows", remedied}}});
  return result;
}

TEST(StudyPage, AnswersYesNoOrWhenFromTheTimes) {
  const auto answer = [](const Json& claim) { return study_page(study(Json::array({claim}))); };
  EXPECT_THAT(
      answer(crossover("holds", 12, 44)),
      HasSubstr("<p class=\"answer\">Yes, at every size tested: with 6370 to 203530 parameters it took 12 to 44 "
                "times as long as with backprop to come to half the initial loss, 1.5 times with a learned "
                "prior.</p>"));
  EXPECT_THAT(answer(crossover("holds", 0.5, 3)), HasSubstr("<p class=\"answer\">When the network is large: "));
  EXPECT_THAT(answer(crossover("fails", 0.2, 0.5)), HasSubstr("<p class=\"answer\">No: "));
  EXPECT_THAT(answer(crossover("undecided", 0.5, 1.1)), HasSubstr("<p class=\"answer\">Undecided: "));
}

TEST(StudyPage, DefinesItsWords) {
  const std::string page = study_page(study(Json::array({claim("snr-scaling", networks())})));
  EXPECT_LT(page.find("<dfn>forward gradient</dfn>"), page.find("id=\"claims\""));
  EXPECT_LT(page.find("id=\"snr-scaling\""), page.find("id=\"glossary\""));
}

TEST(StudyPage, PrintsFormulasAndNumbersAsOnPaper) {
  Json result = claim("minibatch", Json::array());
  result["condition"] = "E|grad_B|^2 is -1.5e-07 from -1";
  const std::string page = study_page(study(Json::array({result})));
  EXPECT_THAT(page, HasSubstr("predicted −1, measured −0.998, interval [−1.02, −0.97]"));
  EXPECT_THAT(page, HasSubstr("E‖∇ₘ‖² is −1.5e−7 from −1"));
}

TEST(StudyPage, ShowsRangesAndWhatCouldNotBeDecided) {
  Json range = claim("backward-cost", Json::array());
  range["predicted"] = nullptr;
  range["predicted_low"] = 2;
  range["predicted_high"] = 4;
  range["verdict"] = "undecided";
  Json above = claim("crossover", Json::array());
  above["predicted"] = nullptr;
  above["predicted_low"] = 1;
  above["predicted_high"] = nullptr;
  RunFiles run = study(Json::array({range, above}));
  run.results["schema"] = "slopewise.study/2";
  const std::string page = report_page(std::vector{run});
  EXPECT_THAT(page, HasSubstr("predicted 2 to 4, measured"));
  EXPECT_THAT(page, HasSubstr("predicted above 1, measured"));
  EXPECT_THAT(page, HasSubstr("1 of the 2 claims measured hold, 1 undecided"));
}

TEST(StudyPage, HoldsTheDataOfItsChartsToTheLastBit) {
  if (!can_draw_charts()) GTEST_SKIP() << "built without npm";
  const std::string page = study_page(study(Json::array({claim("snr-scaling", networks())})));
  const std::string begin = "id=\"data\">";
  const std::size_t from = page.find(begin) + begin.size();
  const Json data = Json::parse(page.substr(from, page.find("</script>", from) - from));
  EXPECT_EQ(data["snr-scaling/networks"]["rows"], networks()[0]["rows"]);
  EXPECT_THAT(page, HasSubstr("id=\"chart-snr-scaling\""));
}

TEST(StudyPage, AClaimWithoutAChartOfItsOwnShowsItsInterval) {
  if (!can_draw_charts()) GTEST_SKIP() << "built without npm";
  const std::string page = study_page(study(Json::array({claim("mean-variance", Json::array())})));
  EXPECT_THAT(page, HasSubstr("id=\"chart-mean-variance\""));
  EXPECT_THAT(page, HasSubstr("\"name\":\"mean-variance/figures\""));
}

TEST(StudyPage, AnUnmeasuredClaimHasNoChart) {
  Json unmeasured = claim("mean-variance", Json::array());
  unmeasured["measured"] = unmeasured["low"] = unmeasured["high"] = nullptr;
  unmeasured["verdict"] = "unmeasured";
  EXPECT_THAT(study_page(study(Json::array({unmeasured}))), Not(HasSubstr("<figure")));
}

TEST(StudyPage, NamesRowsByTheirLabels) {
  Json rows = Json::array();
  rows.push_back({0, 1, 6371, 6392, 83});
  const Json laws = {{"name", "laws"},
                     {"columns", {"law", "tangents", "predicted variance / |grad|^2", "measured", "standard error"}},
                     {"rows", rows},
                     {"labels", {"gaussian"}}};
  EXPECT_THAT(study_page(study(Json::array({claim("distributions", Json::array({laws}))}))),
              HasSubstr("<td data-column=\"label\">gaussian</td>"));
}

TEST(TrainingPage, NamesTheBestRun) {
  const std::string page = report_page(std::vector{training("forward", 0.09), training("local", 0.016)});
  EXPECT_THAT(page, HasSubstr("<h1>Did they train?</h1>"));
  EXPECT_THAT(page,
              HasSubstr("Yes: best of 2 runs, local came to a test error of 1.60 % in 1000 steps and 2.5 s, its loss "
                        "from 2.3 to 2.2."));
}

TEST(TrainingPage, AnswersForOneRun) {
  RunFiles run = training("local", 0.016);
  EXPECT_THAT(training_page(std::vector{run}), HasSubstr("<p class=\"answer\">Yes: local came to"));
  run.results["status"] = "diverged";
  EXPECT_THAT(training_page(std::vector{run}), HasSubstr("<p class=\"answer\">No: local came to"));
}

TEST(TrainingPage, HoldsRunsAgainstBackprop) {
  std::vector<RunFiles> runs{training("local", 0.016), training("exact", 0.02, "exact")};
  const std::string page = training_page(runs);
  EXPECT_THAT(page, HasSubstr("<h1>Does it train as well as backprop?</h1>"));
  EXPECT_THAT(page, HasSubstr("Yes: the best other run, local, came to a test error of 1.60 %"));
  runs[0].results["test_error"] = 0.03;
  EXPECT_THAT(training_page(runs), HasSubstr("<p class=\"answer\">No: the best other run"));
  runs[1].results["config"] = {{"block-layers", 1}};  // a loss for every layer
  EXPECT_THAT(training_page(runs), HasSubstr("<h1>Did they train?</h1>"));
  runs[1].results["config"] = {{"block-layers", -1}, {"exact-blocks", 0}};  // the head alone
  EXPECT_THAT(training_page(runs), HasSubstr("<h1>Did they train?</h1>"));
  runs[1].results["config"] = {{"block-layers", -1}, {"exact-blocks", -1}};
  EXPECT_THAT(training_page(runs), HasSubstr("<h1>Does it train as well as backprop?</h1>"));
}

TEST(TrainingPage, ShowsOptionsInWhichRunsDiffer) {
  std::vector<RunFiles> runs{training("one", 0.02), training("two", 0.03)};
  runs[0].results["config"] = {{"batch", 64}, {"rate", "0.1"}, {"out", "runs/one"}};
  runs[1].results["config"] = {{"batch", 64}, {"rate", "0.2"}, {"out", "runs/two"}, {"momentum", "0.9"}};
  const std::string page = training_page(runs);
  EXPECT_THAT(page,
              HasSubstr("<td data-column=\"option\">rate</td><td data-column=\"one\" class=\"number\">0.1</td><td "
                        "data-column=\"two\" class=\"number\">0.2</td>"));
  EXPECT_THAT(page, HasSubstr("<td data-column=\"option\">momentum</td><td data-column=\"one\">–</td>"));
  EXPECT_THAT(page, HasSubstr("<summary>Options that all runs share (1)</summary>"));
  EXPECT_THAT(page, Not(HasSubstr("<td data-column=\"option\">batch</td>")));
  EXPECT_THAT(page, Not(HasSubstr("<td data-column=\"option\">out</td>")));
}

TEST(TrainingPage, WritesSettingsWithThePagesMinusSignAndWordsAsTheyAre) {
  RunFiles run = training("one", 0.02);
  run.results["steps"] = 1;
  run.results["config"] = {{"exact-blocks", -1}, {"shifts", {-1, 2}}, {"initial", "snr/-1/grad"}};
  std::string page = training_page(std::vector{run});
  EXPECT_THAT(page, HasSubstr(" in 1 step and 2.5 s"));
  EXPECT_THAT(page, HasSubstr("<dt>exact-blocks</dt><dd>−1</dd>"));
  EXPECT_THAT(page, HasSubstr("<dt>initial</dt><dd>snr/-1/grad</dd>"));
  page = training_page(std::vector{run, training("two", 0.03)});
  EXPECT_THAT(page, HasSubstr("<td data-column=\"one\" class=\"number\">−1</td>"));
  EXPECT_THAT(page, HasSubstr("<td data-column=\"one\">snr/-1/grad</td>"));
  EXPECT_THAT(page, HasSubstr("<td data-column=\"one\">[−1,2]</td>"));
  RunFiles other = run;
  other.directory = "runs/two";
  EXPECT_THAT(training_page(std::vector{run, other}), HasSubstr("<dt>exact-blocks</dt><dd>−1</dd>"));
}

TEST(TrainingPage, GivesARunOneColourInAllCharts) {
  if (!can_draw_charts()) GTEST_SKIP() << "built without npm";
  std::vector<RunFiles> runs{training("one", 0.02), training("two", 0.03)};
  runs[0].metrics.clear();
  for (const Figures::Figure& chart : training_charts(runs)) {
    const Json spec = chart.spec;
    const Json color = spec["encoding"]["color"];
    EXPECT_EQ(color["scale"]["domain"], Json({"one", "two"})) << chart.name;
    EXPECT_EQ(color["legend"]["values"], chart.data.contains("metrics") && !chart.data.contains("curve")
                                             ? Json::array({"two"})
                                             : Json({"one", "two"}))
        << chart.name;
  }
}

TEST(ComparisonPage, RanksAndAnswers) {
  const auto row = [](const char* name, const char* method, double error, double spread) {
    return Json{{"name", name},     {"method", method}, {"control", false}, {"test_error", error},
                {"spread", spread}, {"rate", "auto"},   {"note", ""},       {"cosine", {0.1, -0.2, nullptr}}};
  };
  ComparisonFiles comparison{
      .directory = "runs/compare",
      .document = {{"schema", "slopewise.compare/1"},
                   {"model", "mlp"},
                   {"data", "mnist"},
                   {"seeds", 3},
                   {"rows", Json::array({row("local", "local", 0.02, 0.001), row("backprop", "exact", 0.03, 0.001)})}},
      .runs = {training("local", 0.02), training("backprop", 0.03, "exact")}};
  EXPECT_THAT(
      comparison_page(comparison),
      HasSubstr("Yes: the best of the others, local, came to a test error of 2.00 ± 0.10 %, backprop to 3.00 ± 0.10 "
                "%."));
  EXPECT_THAT(comparison_page(comparison), HasSubstr("0.1, −0.2, –"));
  comparison.document["rows"][0]["test_error"] = 0.0305;
  EXPECT_THAT(comparison_page(comparison), HasSubstr("Within the spread of the seeds: "));
  comparison.document["rows"][0]["test_error"] = 0.04;
  EXPECT_THAT(comparison_page(comparison), HasSubstr("<p class=\"answer\">No: "));
  comparison.document["rows"][0]["control"] = true;
  EXPECT_THAT(comparison_page(comparison), HasSubstr("<p class=\"answer\">Undecided: "));
  comparison.document["rows"][0]["control"] = false;
  comparison.runs[1].results["config"] = {{"block-layers", 1}};
  EXPECT_THAT(comparison_page(comparison), HasSubstr("<p class=\"answer\">Undecided: "));
  EXPECT_THAT(comparison_page(comparison), HasSubstr("mlp, mnist: 2 rows, means of 3 seeds; curves"));
  comparison.document["seeds"] = 1;
  EXPECT_THAT(comparison_page(comparison), HasSubstr("mlp, mnist: 2 rows, of one seed"));
  comparison.document.erase("rows");
  EXPECT_THROW(comparison_page(comparison), FileError);
}

TEST(TrainingPage, LeavesOutChartsOfWhatWasNotRecorded) {
  if (!can_draw_charts()) GTEST_SKIP() << "built without npm";
  const std::string page = training_page(std::vector{training("local", 0.016)});
  EXPECT_THAT(page, HasSubstr("chart-loss-over-steps"));
  EXPECT_THAT(page, Not(HasSubstr("chart-snr")));
  EXPECT_THAT(page, Not(HasSubstr("chart-residual")));
}

TEST(TrainingPage, ShowsRunsOverTheWorkOfTheirSteps) {
  if (!can_draw_charts()) GTEST_SKIP() << "built without npm";
  std::vector<RunFiles> runs{training("local", 0.02), training("backprop", 0.03)};
  EXPECT_THAT(report_page(runs), Not(HasSubstr("chart-error-over-forwards")));  // as older runs do not say it
  runs[0].results["forwards_per_step"] = 4.5;
  runs[1].results["forwards_per_step"] = 3;
  const std::string page = report_page(runs);
  EXPECT_THAT(page, HasSubstr("chart-error-over-forwards"));
  EXPECT_THAT(page, HasSubstr("chart-loss-over-forwards"));
  EXPECT_THAT(page, HasSubstr("[\"local\",1000,null,2.5,4500.0,"));
  EXPECT_THAT(page, HasSubstr("[\"backprop\",1000,null,2.5,3000.0,"));
  runs[1].results["config"] = {{"batch", 512}};  // a pass of which is another
  EXPECT_THAT(report_page(runs), Not(HasSubstr("-over-forwards")));
  runs.pop_back();
  EXPECT_THAT(report_page(runs), Not(HasSubstr("-over-forwards")));
}

TEST(TrainingPage, TellsRunsOfOneNameApart) {
  std::vector<RunFiles> runs{training("local", 0.02), training("local", 0.03)};
  runs[1].directory = "runs/other";
  const std::string page = report_page(runs);
  EXPECT_THAT(page, HasSubstr("local (runs/local)"));
  EXPECT_THAT(page, HasSubstr("local (runs/other)"));
}

TEST(ReportPage, RefusesWhatItCannotShowTogether) {
  const RunFiles one = study(Json::array());
  EXPECT_THROW(report_page({}), ArgumentError);
  EXPECT_THROW(report_page(std::vector{one, training("local", 0.02)}), ArgumentError);
  EXPECT_THROW(report_page(std::vector{one, one}), ArgumentError);
  RunFiles broken = one;
  broken.results.erase("claims");
  EXPECT_THROW(report_page(std::vector{broken}), FileError);
}

TEST(Picture, IsAProgramWithTheChartAndItsData) {
  const std::vector<RunFiles> runs{study(Json::array({claim("snr-scaling", networks())}))};
  const std::string program = picture_of_chart(runs, "snr-scaling");
  EXPECT_THAT(program, HasSubstr("const tables = {\"snr-scaling/networks\":{\"columns\":[\"n\","));
  EXPECT_THAT(program, HasSubstr(".toSVG()"));
}

TEST(Picture, OfAChartThatIsNotThereNamesThoseThatAre) {
  const std::vector<RunFiles> runs{study(Json::array({claim("snr-scaling", networks())}))};
  try {
    picture_of_chart(runs, "snr-scalling");
    FAIL();
  } catch (const ArgumentError& error) {
    EXPECT_THAT(error.what(), HasSubstr("expected one of snr-scaling; did you mean snr-scaling?"));
  }
}

// Every chart is JSON that says whose it is, and has a title and a caption.
TEST(Charts, SayWhatTheyShow) {
  for (const Resource& file : resources()) {
    if (!file.name.starts_with("charts/")) continue;
    const Json spec = Json::parse(file.text);
    EXPECT_TRUE(spec["usermeta"]["of"].is_string()) << file.name;
    EXPECT_TRUE(spec["title"].is_string()) << file.name;
    EXPECT_TRUE(spec["description"].is_string()) << file.name;
    EXPECT_EQ(spec["width"], "container") << file.name;
  }
}

class RunDirectory : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(directory_); }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  void write(const std::string& name, std::string_view text) const { std::ofstream(directory_ / name) << text; }

  // Each test's own: they run at once.
  std::filesystem::path directory_ =
      std::filesystem::path(testing::TempDir()) / ("slopewise-" + std::to_string(getpid()) + "-run-files");
};

TEST_F(RunDirectory, ReadsResultsAndMetrics) {
  write("results.json", R"({"schema": "slopewise.train/1"})");
  write("metrics.jsonl", "{\"step\": 0}\n{\"step\": 1}\n{\"step\": 2, \"lo");
  const RunFiles run = read_run(directory_);
  EXPECT_FALSE(run.is_study());
  for (const char* schema : {"slopewise.study/1", "slopewise.study/2"}) {
    write("results.json", fmt::format(R"({{"schema": "{}"}})", schema));
    EXPECT_TRUE(read_run(directory_).is_study()) << schema;
  }
  ASSERT_EQ(run.metrics.size(), 2u);  // the third line was cut off
  EXPECT_EQ(run.metrics[1]["step"], 1);
}

TEST_F(RunDirectory, ReadsAComparisonWithTheFirstRunOfEachRow) {
  EXPECT_FALSE(holds_comparison(directory_));
  write("compare.json",
        R"({"schema": "slopewise.compare/1", "rows": [{"name": "b"}, {"name": "a"}, {"name": "gone"}]})");
  for (const char* run : {"a-seed10", "a-seed9", "b-seed1", "a-seedling"}) {
    std::filesystem::create_directories(directory_ / run);
    write(std::string(run) + "/results.json", R"({"schema": "slopewise.train/1"})");
  }
  EXPECT_TRUE(holds_comparison(directory_));
  const ComparisonFiles comparison = read_comparison(directory_);
  ASSERT_EQ(comparison.runs.size(), 2u);
  EXPECT_EQ(comparison.runs[0].results["name"], "b");
  EXPECT_EQ(comparison.runs[1].directory, directory_ / "a-seed9");
  write("compare.json", R"({"schema": "slopewise.compare/9"})");
  EXPECT_THROW(read_comparison(directory_), FileError);
}

TEST_F(RunDirectory, RefusesWhatIsNotARun) {
  EXPECT_THROW(read_run(directory_), FileError);
  write("results.json", "{");
  EXPECT_THROW(read_run(directory_), FileError);
  write("results.json", R"({"schema": "slopewise.bench/1"})");
  EXPECT_THROW(read_run(directory_), FileError);
  write("results.json", R"({"schema": "slopewise.train/1"})");
  write("metrics.jsonl", "nonsense\n{\"step\": 1}\n");
  EXPECT_THROW(read_run(directory_), FileError);
}

}  // namespace
}  // namespace slopewise
