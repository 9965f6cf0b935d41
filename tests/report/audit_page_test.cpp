// The page of audits, from documents made by hand.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "slopewise/base/error.hpp"
#include "slopewise/report/audit_text.hpp"
#include "slopewise/report/page.hpp"

namespace slopewise {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::ordered_json;

Json method(const std::string& name, double bytes, bool fits, double slowdown) {
  Json tried = nullptr;
  if (slowdown > 1) {
    tried = {{"status", "reached"}, {"slowdown", 1.5 * slowdown}, {"decrease", 0.5}, {"predicted_decrease", 0.6}};
  }
  return {{"name", name},
          {"pace", 1 / slowdown},
          {"costs", {{{"batch", 64}, {"bytes", bytes}, {"seconds", 0.5}, {"fits", fits}}}},
          {"predicted",
           {{"snr", 0.1},
            {"cosine", 0.3},
            {"rate", 0.01},
            {"slowdown", {{"value", slowdown}, {"low", slowdown / 2}, {"high", slowdown * 2}}}}},
          {"tried", tried}};
}

AuditFiles audit(const std::string& directory) {
  const Json figure = {{"value", 2.5}, {"low", 2}, {"high", 3}};
  return {
      .directory = directory,
      .document = {
          {"schema", "slopewise.audit/1"},
          {"model", "a<b.onnx"},
          {"data", "digits"},
          {"batch", 64},
          {"parameters", 1000},
          {"loss", 2.3},
          {"memory", 4 << 20},
          {"noise",
           {{"reference", "pullback"},
            {"squared_norm", figure},
            {"batch_factor", figure},
            {"kurtosis", 3.1},
            {"blocks",
             {{{"name", "first"}, {"parameters", 900}, {"batch_squared_norm", 1}, {"squared_norm", 1}, {"snr", 1e-5}},
              {{"name", "last"},
               {"parameters", 100},
               {"batch_squared_norm", 3},
               {"squared_norm", 2},
               {"snr", 1e-3}}}}}},
          {"curvature", {{"trace", figure}, {"along_gradient", figure}, {"largest", 9}, {"effective_dimension", 4}}},
          {"methods", {method("backprop", 8 << 20, false, 1), method("weights K=8", 1 << 20, true, 20)}},
          {"recommendation",
           {{"sentence", "Use weights K=8: it fits."},
            {"best", {{"method", "weights K=8"}, {"command", "slopewise train --data 'x & y'"}}},
            {"second", nullptr},
            {"changes", {"8 MiB of memory: then backprop"}}}}}};
}

TEST(AuditPage, SaysTheAnswerFirstAndItsCommand) {
  const std::vector<AuditFiles> audits{audit("runs/audit")};
  const std::string page = audit_page(audits);
  EXPECT_LT(page.find("Use weights K=8: it fits."), page.find("<main>"));
  EXPECT_THAT(page, HasSubstr("slopewise train --data &#39;x &amp; y&#39;"));
  EXPECT_THAT(page, HasSubstr("a&lt;b.onnx"));
  EXPECT_THAT(page, HasSubstr("8 MiB of memory: then backprop"));
  if (!can_draw_charts()) return;
  for (const char* chart : {"audit-pace", "audit-snr", "audit-slowdown"})
    EXPECT_THAT(page, HasSubstr(fmt::format("id=\"chart-{}\"", chart)));
  EXPECT_LT(page.find("chart-audit-pace"), page.find("<main>"));
}

TEST(AuditPage, LeavesEmptyWhatAMethodHasNoFigureOf) {
  std::vector<AuditFiles> audits{audit("runs/audit")};
  Json& method = audits[0].document["methods"][1];
  method["pace"] = std::nan("");
  method["predicted"] = nullptr;
  const std::string page = audit_page(audits);
  EXPECT_THAT(page, HasSubstr("<td data-column=\"loss a second\"></td>"));
  EXPECT_THAT(page, Not(HasSubstr(">nan<")));
}

TEST(AuditPage, TellsSeveralApart) {
  const std::vector<AuditFiles> audits{audit("runs/one"), audit("runs/two")};
  const std::string page = audit_page(audits);
  EXPECT_THAT(page, HasSubstr("2 audits"));
  EXPECT_THAT(page, HasSubstr("a&lt;b.onnx (runs/two)"));
}

TEST(AuditPage, LeavesOutWhatNobodyMeasured) {
  std::vector<AuditFiles> audits{audit("runs/audit")};
  Json& document = audits.front().document;
  for (Json& block : document["noise"]["blocks"]) block["snr"] = block["squared_norm"] = nullptr;
  for (Json& entry : document["methods"]) entry["tried"] = entry["predicted"] = nullptr;
  const std::string page = audit_page(audits);
  EXPECT_THAT(page, Not(HasSubstr("chart-audit-snr")));
  EXPECT_THAT(page, Not(HasSubstr("chart-audit-slowdown")));
  EXPECT_THAT(page, Not(HasSubstr(">nan<")));
}

// Of the fastest way to divide a step; backprop may have had no room.
TEST(AuditPage, SaysWhatAStepTakesByRanks) {
  std::vector<AuditFiles> audits{audit("runs/audit")};
  Json& document = audits.front().document;
  EXPECT_THAT(audit_text(document), Not(HasSubstr("a step of weights")));
  EXPECT_THAT(audit_page(audits), Not(HasSubstr("by many ranks")));
  const auto step = [](double seconds, double bytes) {
    return Json{{"seconds", seconds}, {"bytes", bytes}, {"memory", 2048}};
  };
  document["ranks"] = {{"tangents", 8},
                       {"steps",
                        {{{"ranks", 4},
                          {"examples", step(3, 240)},
                          {"tangents", step(2, 156)},
                          {"both", step(2.5, 184)},
                          {"backprop", step(7, 4096)},
                          {"snr", 1e-3},
                          {"snr_each", 4e-3}}}}};
  EXPECT_THAT(audit_ranks(document).at(1), testing::ElementsAre("4", "2 s", "tangents", "156 B", "2 KiB", "0.001",
                                                                "0.004", "7 s", "4 KiB", "2 KiB"));
  EXPECT_THAT(audit_text(document), HasSubstr("a step of weights"));
  EXPECT_THAT(audit_page(audits), HasSubstr("by many ranks"));
  document["ranks"]["steps"][0]["backprop"] = nullptr;
  EXPECT_EQ(audit_ranks(document).at(1).back(), "");
  document["ranks"] = nullptr;
  EXPECT_TRUE(audit_ranks(document).empty());
}

TEST(AuditPage, RefusesWhatIsNoAudit) {
  EXPECT_THROW(audit_page({}), ArgumentError);
  std::vector<AuditFiles> audits{audit("runs/audit")};
  audits.front().document.erase("methods");
  EXPECT_THROW(audit_page(audits), FileError);
  EXPECT_THROW(picture_of_chart(audits, "audit-pace"), FileError);
}

TEST(Page, IsThatOfWhateverThereIs) {
  const AuditFiles one = audit("runs/audit");
  EXPECT_EQ(page_of(std::vector<ReportFiles>{one, one}), audit_page(std::vector{one, one}));
  const ComparisonFiles comparison{
      .directory = "c", .document = {{"schema", "slopewise.compare/1"}, {"rows", Json::array()}}, .runs = {}};
  EXPECT_THROW(page_of(std::vector<ReportFiles>{one, RunFiles{}}), ArgumentError);
  EXPECT_THROW(page_of(std::vector<ReportFiles>{one, comparison}), ArgumentError);
  EXPECT_THROW(page_of({}), ArgumentError);
}

TEST(AuditText, HoldsTheAnswerAndWhatItRestsOn) {
  const std::string words = audit_text(audit("runs/audit").document);
  for (const char* part :
       {"Use weights K=8: it fits.", "slopewise train --data 'x & y'", "2.5 [2, 3]", "75.0 %", "last", "8 MiB", "30"})
    EXPECT_THAT(words, HasSubstr(part));
}

}  // namespace
}  // namespace slopewise
