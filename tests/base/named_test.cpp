#include "slopewise/base/named.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace slopewise {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

struct Shade {
  std::string name, summary;
  int value;
};

NamedTable<Shade> shades() {
  return {"shade", {{"light", "nearly white", 1}, {"dark", "nearly black", 9}}};
}

TEST(NamedTable, FindsWhatItHoldsInTheOrderGiven) {
  NamedTable<Shade> table = shades();
  EXPECT_THAT(table.names(), testing::ElementsAre("light", "dark"));
  EXPECT_EQ(table.find("dark").value, 9);
  EXPECT_EQ(table.summary("light"), "nearly white");
  const Shade& light = table.find("light");
  for (int i = 0; i < 100; ++i) table.add({"grey" + std::to_string(i), "between", i});
  EXPECT_EQ(&table.find("light"), &light) << "entries stay where they are";
  EXPECT_EQ(table.find("grey99").value, 99);
}

TEST(NamedTable, AnUnknownNameIsAnsweredWithTheKnownOnesAndTheNearest) {
  EXPECT_THAT([] { shades().find("ligth"); },
              ThrowsMessage<ArgumentError>(
                  AllOf(HasSubstr("shade 'ligth'"), HasSubstr("light, dark"), HasSubstr("did you mean light?"))));
  EXPECT_THROW(shades().summary(""), ArgumentError);
}

TEST(NamedTable, NamesAreTakenOnce) {
  NamedTable<Shade> table = shades();
  EXPECT_THAT([&] { table.add({"dark", "again", 0}); }, ThrowsMessage<ArgumentError>(HasSubstr("'dark'")));
  EXPECT_THROW(table.add({"", "none", 0}), ArgumentError);
  EXPECT_THAT(table.names(), testing::SizeIs(2));
}

}  // namespace
}  // namespace slopewise
