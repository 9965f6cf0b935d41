// Workload::ahead: stretches of a residual stream, each taken back by itself from the cotangent at the top.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "tests/program/programs.hpp"

namespace slopewise {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr Index kLength = 5, kWidth = 6;
// Parameters of the norm and the layer after the stream.
constexpr Index kHead = 2 * kWidth + kClasses * (kLength * kWidth + 1);

// The first `blocks` blocks, and where each stretch ends: the stem, then the blocks.
struct Built {
  Node top;
  std::vector<Index> ends;
};
Built build(Index blocks, bool post_norm) {
  Node h = linear(Builder().input("x", {kLength, 3}), kWidth);
  std::vector<Index> ends{h.number()};
  const auto normed = [](const Node& y, bool where) { return where ? layer_norm(y) : y; };
  for (Index block = 0; block < blocks; ++block) {
    const Node x = normed(h, !post_norm);
    const auto head = [](const Node& y) { return reshape(y, {1, kLength, kWidth}); };
    const Node read =
        scaled_dot_product_attention(head(linear(x, kWidth)), head(linear(x, kWidth)), head(linear(x, kWidth)));
    h = normed(h + linear(reshape(read, {kLength, kWidth}), kWidth), post_norm);
    h = normed(h + linear(gelu(linear(normed(h, !post_norm), 9)), kWidth), post_norm);
    // An op that may write where it reads, forward and back.
    if (block % 2 == 1) h = relu(h);
    ends.push_back(h.number());
  }
  return {h, std::move(ends)};
}
Program whole_of(const Built& built) {
  return Program(labelled(linear(flatten(layer_norm(built.top)), kClasses)));
}

Workload feedback(const Program& program, const std::vector<Index>& ends, Index batch, Index ahead) {
  Workload workload{.mode = Workload::Mode::kGiven, .batch = batch, .few_rows = true};
  workload.forms.assign(program.layout().segments.size(), TangentForm::kNone);
  workload.cuts = {ends.begin(), ends.end() - 1};
  workload.error = ends.back();
  workload.ahead = ahead;
  return workload;
}

struct Sample {
  Index rows;
  std::vector<double> x = random_vector<double>(rows * kLength * 3, 1);
  std::vector<std::int32_t> labels = [this] {
    std::vector<std::int32_t> made;
    for (Index b = 0; b < rows; ++b) made.push_back(static_cast<std::int32_t>(b * 7 % kClasses));
    return made;
  }();
  Batch<double> batch() const {
    return {.rows = rows, .inputs = {std::span<const double>(x), std::span<const std::int32_t>(labels)}};
  }
};

std::vector<double> gradient_of(const Program& program, const Workload& workload, const Parameters<double>& theta,
                                const Batch<double>& batch) {
  std::vector<double> out(static_cast<std::size_t>(program.size()));
  Runner<double>(program, workload).given(theta, batch, nullptr, {}, {}, out);
  return out;
}

// The loss is linear, Σ g · h, with g as an input, so its exact gradient by the parameters of stretch s is what g takes
// back to them.
TEST(Feedback, TakesTheGradientAtTheTopBackThroughEachStretch) {
  constexpr Index kBlocks = 4;
  for (const bool post_norm : {false, true}) {
    const Built built = build(kBlocks, post_norm);
    const Program program = whole_of(built);
    const Parameters<double> theta(random_vector<double>(program.size(), 3, -0.5, 0.5));
    const Sample sample{11};
    std::vector<double> top, unused(static_cast<std::size_t>(program.size()));
    Workload exact{.mode = Workload::Mode::kGiven, .batch = sample.rows};
    exact.forms.assign(program.layout().segments.size(), TangentForm::kNone);
    exact.error = built.ends.back();
    Runner<double>(program, exact)
        .given(
            theta, sample.batch(), nullptr, {},
            [&](const GivenView<double>& view) { top.assign(view.error.begin(), view.error.end()); }, unused);

    for (const Index ahead : {0, 1, 2, 9}) {
      const std::vector<double> found =
          gradient_of(program, feedback(program, built.ends, sample.rows, ahead), theta, sample.batch());
      for (Index s = 0; s <= kBlocks; ++s) {
        const Built part = build(std::min(kBlocks, s + ahead), post_norm);
        const Program linear_loss(sum(mul(part.top, Builder(part.top).input("g", part.top.shape()))));
        const Parameters<double> prefix(
            std::vector<double>(theta.values().begin(), theta.values().begin() + linear_loss.size()));
        std::vector<double> expected(static_cast<std::size_t>(linear_loss.size()));
        Runner<double>(linear_loss, {.mode = Workload::Mode::kPullback, .batch = sample.rows})
            .gradient(
                prefix,
                {.rows = sample.rows, .inputs = {std::span<const double>(sample.x), std::span<const double>(top)}},
                expected);
        const Index first = s == 0 ? 0 : whole_of(build(s - 1, post_norm)).size() - kHead;
        const Index last = whole_of(build(s, post_norm)).size() - kHead;
        for (Index i = first; i < last; ++i) {
          ASSERT_NEAR(found[static_cast<std::size_t>(i)],
                      static_cast<double>(sample.rows) * expected[static_cast<std::size_t>(i)], 1e-12)
              << "ahead " << ahead << ", stretch " << s << ", entry " << i;
        }
      }
      // The head's is exact, and all of it where all is looked ahead to.
      std::vector<double> truth(static_cast<std::size_t>(program.size()));
      Runner<double>(program, {.mode = Workload::Mode::kPullback, .batch = sample.rows})
          .gradient(theta, sample.batch(), truth);
      const Index exact_from = ahead < kBlocks ? program.size() - kHead : 0;
      for (auto i = static_cast<std::size_t>(exact_from); i < truth.size(); ++i)
        ASSERT_NEAR(found[i], truth[i], 1e-12) << "ahead " << ahead << ", entry " << i;
    }
  }
}

TEST(Feedback, DoesNotDependOnThreadsOrTiles) {
  const Built built = build(3, false);
  const Program program = whole_of(built);
  const Parameters<double> theta(random_vector<double>(program.size(), 3, -0.5, 0.5));
  const Sample sample{150};
  const Workload few = feedback(program, built.ends, sample.rows, 1);
  Workload many = few;
  many.few_rows = false;
  std::vector<std::vector<double>> found;
  for (const int threads : {1, 3}) {
    const ThreadScope scope(threads);
    found.push_back(gradient_of(program, few, theta, sample.batch()));
  }
  EXPECT_EQ(found[0], found[1]);
  const std::vector<double> at_once = gradient_of(program, many, theta, sample.batch());
  for (std::size_t i = 0; i < at_once.size(); ++i) ASSERT_NEAR(found[0][i], at_once[i], 1e-12) << i;
}

// Memory is that of one stretch and those it looks ahead to, at any depth.
TEST(Feedback, MemoryDoesNotGrowWithDepth) {
  const auto bytes = [](Index blocks, Index ahead) {
    const Built built = build(blocks, false);
    const Program program = whole_of(built);
    return program.memory(feedback(program, built.ends, 64, ahead), sizeof(float), 1).activations;
  };
  EXPECT_EQ(bytes(4, 0), bytes(12, 0));
  EXPECT_EQ(bytes(4, 1), bytes(12, 1));
  EXPECT_LT(bytes(4, 0), bytes(4, 1));
  const Program deep = whole_of(build(12, false));
  EXPECT_LT(
      2 * bytes(12, 1),
      deep.memory({.mode = Workload::Mode::kPullback, .batch = 64, .few_rows = true}, sizeof(float), 1).activations);
}

TEST(Feedback, RefusesWhatIsNoStream) {
  const Built built = build(2, false);
  const Program program = whole_of(built);
  const Workload good = feedback(program, built.ends, 2, 0);
  const auto refused = [&](auto change, const char* why) {
    Workload bad = good;
    change(bad);
    EXPECT_THAT([&] { program.memory(bad); }, ThrowsMessage<Error>(HasSubstr(why)));
  };
  refused([](Workload& w) { w.error = -1; }, "expected a node whose cotangent");
  refused([](Workload& w) { std::swap(w.cuts[0], w.cuts[1]); }, "in order");
  refused([&](Workload& w) { w.cuts = {program.inputs()[0]}; }, "expected cuts of the size");
  refused([](Workload& w) { w.spare = true; }, "nobody who gives");
}

}  // namespace
}  // namespace slopewise
