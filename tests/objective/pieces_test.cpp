// A step in pieces: what the whole finds, within rounding, and the same bits by any number of ranks.
#include "slopewise/objective/pieces.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <barrier>
#include <cmath>
#include <thread>

#include "slopewise/base/error.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/estimate/estimator.hpp"
#include "slopewise/model/chain.hpp"
#include "slopewise/model/initialize.hpp"
#include "slopewise/probe/probe.hpp"

namespace slopewise {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

// Ranks that are threads.
class Threads {
 public:
  explicit Threads(Index ranks) : barrier_(ranks), numbers_(static_cast<std::size_t>(ranks)) {}
  // What rank 0 has made, and whether it has.
  std::string reply;
  bool made = false;
  class Rank final : public Team {
   public:
    Rank(Threads& all, Index rank) : all_(all), rank_(rank) {}
    Index rank() const override { return rank_; }
    Index size() const override { return std::ssize(all_.numbers_); }
    std::string settle(const std::string& own, const Make& make) override {
      all_.numbers_[static_cast<std::size_t>(rank_)] = own;
      sent += own.size();
      all_.barrier_.arrive_and_wait();
      if (rank_ > 0) {
        all_.barrier_.arrive_and_wait();
        if (!all_.made) throw TeamError("rank 0 has ended");
        return all_.reply;
      }
      const struct Ends {
        std::barrier<>& barrier;
        ~Ends() { barrier.arrive_and_wait(); }
      } ends{all_.barrier_};
      all_.made = false;
      all_.reply = make(all_.numbers_);
      all_.made = true;
      return all_.reply;
    }
    std::vector<std::string> gather(const std::string&) override { return {}; }
    Traffic traffic() const override { return {}; }
    std::size_t sent = 0;

   private:
    Threads& all_;
    Index rank_;
  };

 private:
  std::barrier<> barrier_;
  std::vector<std::string> numbers_;
};

class PiecesTest : public testing::Test {
 protected:
  static constexpr Index kRows = 37, kTangents = 8;
  PiecesTest() : chain_(make_chain({.family = "mlp", .hidden = {24, 20}}, {6, 6, 1}, NetworkTarget(10), false)) {
    for (std::size_t i = 0; i < images_.size(); ++i) images_[i] = std::sin(static_cast<float>(i * i % 1009));
    for (std::size_t i = 0; i < labels_.size(); ++i) labels_[i] = static_cast<std::int32_t>(i * 7 % 10);
  }
  const Program& program() const { return *chain_[0].program; }
  Batch<float> batch() const {
    return {.rows = kRows, .inputs = {std::span<const float>(images_), std::span<const std::int32_t>(labels_)}};
  }
  Tangents<float> tangents(const std::string& law, TangentForm instead_of_dense = TangentForm::kDense) {
    const auto probe = make_probe(law, program().layout(), 3);
    std::vector<TangentForm> forms = probe->forms();
    for (const Block& block : program().layout().blocks) {
      TangentForm& form = forms[static_cast<std::size_t>(block.weight)];
      if (form == TangentForm::kDense) form = instead_of_dense;
    }
    draws_.push_back(probe->draw(5, kTangents));
    Tangents<float> made(program().layout(), kTangents, forms);
    draws_.back()->write(made);
    return made;
  }
  static std::vector<double> numbers_of(const Slopes& found) {
    std::vector<double> all{found.loss};
    for (const auto* some : {&found.slopes, &found.curvatures, &found.example_squares})
      all.insert(all.end(), some->begin(), some->end());
    return all;
  }
  enum class Ask { kSlopes, kCurvatures, kDifferences, kSecondDifferences, kOneSided, kGradient, kHead, kActivities };
  static Moves<float> moves_along(const Tangents<float>& v, bool both_sides, bool curvatures = false) {
    return {.count = v.count(),
            .along =
                [&v](Parameters<float>& theta, Index k, double factor) {
                  std::vector<float> direction(static_cast<std::size_t>(theta.size()));
                  v.expand(k, direction);
                  for (std::size_t i = 0; i < direction.size(); ++i)
                    theta.edit()[i] += static_cast<float>(factor) * direction[i];
                },
            .epsilon = 1e-2,
            .both_sides = both_sides,
            .curvatures = curvatures};
  }
  // Two estimates, and what was learned from them.
  std::vector<double> estimates(Objective<float>& objective, const Parameters<float>& theta, const char* name,
                                const EstimatorOptions& options) const {
    const auto estimator = make_estimator<float>(name, {program(), chain_[0].sites}, options);
    std::vector<double> all;
    for (const std::uint32_t step : {3, 4}) {
      const GradientEstimate found = estimator->estimate(objective, theta, step);
      all.push_back(found.loss());
      all.insert(all.end(), found.slopes().begin(), found.slopes().end());
      std::vector<double> dense(static_cast<std::size_t>(theta.size()));
      found.materialize(dense);
      all.insert(all.end(), dense.begin(), dense.end());
      estimator->learn(found);
    }
    for (const StatePart& part : estimator->state()) {
      std::visit(
          [&](const auto& state) {
            for (const auto& vector : state.vectors) all.insert(all.end(), vector.values.begin(), vector.values.end());
          },
          part.state);
    }
    return all;
  }
  // What is found, and of differences also what they leave of θ.
  std::vector<double> ask(Objective<float>& objective, Ask what, Parameters<float> theta,
                          const Tangents<float>& v) const {
    if (what == Ask::kGradient) {
      std::vector<float> gradient(static_cast<std::size_t>(theta.size()));
      std::vector<double> all{objective.gradient(theta, gradient)};
      all.insert(all.end(), gradient.begin(), gradient.end());
      return all;
    }
    if (what == Ask::kHead)
      return estimates(objective, theta, "forward", {.law = "rank-one", .tangents = kTangents, .exact_head = true});
    if (what == Ask::kActivities) {
      return estimates(
          objective, theta, "activities",
          {.law = "rademacher", .tangents = 2, .activity = {.prior = "feedback", .correction = Correction::kGated}});
    }
    if (what == Ask::kSlopes) return numbers_of(objective.slopes(theta, v));
    if (what == Ask::kCurvatures) return numbers_of(objective.curvatures(theta, v));
    std::vector<double> all = numbers_of(
        objective.differences(theta, moves_along(v, what != Ask::kOneSided, what == Ask::kSecondDifferences)));
    all.insert(all.end(), theta.values().begin(), theta.values().end());
    return all;
  }
  // What every rank finds, all of them alike; `sent`: the most numbers that one has sent.
  std::vector<double> by_ranks(Index ranks, Divide divide, Index pieces, Ask what, const Tangents<float>& v,
                               std::size_t* sent = nullptr) {
    Threads all(ranks);
    std::vector<std::vector<double>> found(static_cast<std::size_t>(ranks));
    std::vector<std::size_t> sizes(found.size());
    std::vector<std::thread> threads;
    for (Index r = 0; r < ranks; ++r) {
      threads.emplace_back([&, r] {
        const ThreadScope alone(1);
        const Parameters<float> theta = initialize<float>(program().layout(), 1);
        ProgramObjective<float> whole(program(), batch());
        PiecedObjective<float> pieced(whole, grid_of(divide, pieces, 2),
                                      {.tangents = kTangents, .curvatures = true, .examples = true});
        Threads::Rank team(all, r);
        if (ranks > 1) pieced.set_team(&team);
        pieced.bind(batch());
        found[static_cast<std::size_t>(r)] = ask(pieced, what, theta, v);
        sizes[static_cast<std::size_t>(r)] = team.sent;
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const auto& numbers : found) EXPECT_EQ(numbers, found[0]);
    if (sent) *sent = *std::ranges::max_element(sizes);
    return found[0];
  }

  std::vector<ChainBlock> chain_;
  std::vector<float> images_ = std::vector<float>(kRows * 36);
  std::vector<std::int32_t> labels_ = std::vector<std::int32_t>(kRows);
  std::vector<std::shared_ptr<const Draw>> draws_;
};

TEST_F(PiecesTest, AreWhatTheWholeFindsWithinRoundingAndTheSameBitsByAnyRanks) {
  const Parameters<float> theta = initialize<float>(program().layout(), 1);
  for (const auto& [law, form] : {std::pair{"rank-one", TangentForm::kDense},
                                  {"gaussian", TangentForm::kDense},
                                  {"gaussian", TangentForm::kDrawn}}) {
    const Tangents<float> v = tangents(law, form);
    for (const Ask what :
         {Ask::kSlopes, Ask::kCurvatures, Ask::kDifferences, Ask::kSecondDifferences, Ask::kOneSided}) {
      const bool by_losses = what != Ask::kSlopes && what != Ask::kCurvatures;
      ProgramObjective<float> whole(program(), batch());
      const std::vector<double> expected = ask(whole, what, theta, v);
      for (const Divide divide : {Divide::kExamples, Divide::kTangents, Divide::kBoth}) {
        for (const Index pieces : {1, 4, 5, 8, 100}) {
          if (divide == Divide::kBoth && (pieces % 2 != 0 || by_losses)) continue;
          const std::vector<double> alone = by_ranks(1, divide, pieces, what, v);
          ASSERT_EQ(alone.size(), expected.size());
          // Differences of losses in float err by rounding over 2 ε, those of three by rounding over ε²/4.
          const double share = what == Ask::kSecondDifferences ? 0.05 : by_losses ? 1e-3 : 1e-4;
          for (std::size_t i = 0; i < alone.size(); ++i)
            EXPECT_NEAR(alone[i], expected[i], share * (std::abs(expected[i]) + 1)) << law << pieces << " number " << i;
          for (const Index ranks : {2, 3, 4, 5}) {
            if (ranks > pieces) continue;
            EXPECT_EQ(by_ranks(ranks, divide, pieces, what, v), alone) << law << ranks;
          }
        }
      }
    }
  }
}

TEST_F(PiecesTest, RanksSendFewNumbers) {
  const Tangents<float> v = tangents("rank-one");
  for (const Index ranks : {2, 3, 4}) {
    std::size_t sent = 0;
    by_ranks(ranks, Divide::kExamples, 4, Ask::kSlopes, v, &sent);
    EXPECT_EQ(sent, 4 * (1 + 2 * kTangents)) << ranks;  // a loss, slopes and squares: one branch of the tree
    by_ranks(ranks, Divide::kTangents, 4, Ask::kSlopes, v, &sent);
    EXPECT_EQ(sent, static_cast<std::size_t>(4 * (2 * kTangents * (ranks == 4 ? 1 : 2) / 4 + (ranks == 3 ? 0 : 1))))
        << ranks;
    by_ranks(ranks, Divide::kBoth, 4, Ask::kSlopes, v, &sent);  // slopes and squares of half of the tangents
    EXPECT_EQ(sent, 4 * (1 + kTangents)) << ranks;
  }
}

// Gradients as long as θ, and what an estimator learns from examples that others have seen.
TEST_F(PiecesTest, GradientsAreSharedToTheSameBits) {
  const Parameters<float> theta = initialize<float>(program().layout(), 1);
  const Tangents<float> v = tangents("rank-one");
  for (const Ask what : {Ask::kGradient, Ask::kHead, Ask::kActivities}) {
    ProgramObjective<float> whole(program(), batch());
    const std::vector<double> expected = ask(whole, what, theta, v);
    for (const Divide divide : {Divide::kExamples, Divide::kTangents, Divide::kBoth}) {
      for (const Index pieces : {4, 8}) {
        const std::vector<double> alone = by_ranks(1, divide, pieces, what, v);
        ASSERT_EQ(alone.size(), expected.size());
        for (std::size_t i = 0; i < alone.size(); ++i)
          ASSERT_NEAR(alone[i], expected[i], 1e-4 * (std::abs(expected[i]) + 1)) << pieces << " number " << i;
        for (const Index ranks : {2, 3, 4}) EXPECT_EQ(by_ranks(ranks, divide, pieces, what, v), alone) << ranks;
      }
    }
  }
}

// What the next network of a chain reads of this one's rows.
TEST_F(PiecesTest, RanksHaveTheOutputOfTheirOwnExamples) {
  const Parameters<float> theta = initialize<float>(program().layout(), 1);
  const Tangents<float> v = tangents("rank-one");
  const Index logits = chain_[0].sites.logits;
  for (const Ask what : {Ask::kSlopes, Ask::kDifferences, Ask::kGradient, Ask::kActivities}) {
    ProgramObjective<float> whole(program(), batch(), {.output = logits});
    ask(whole, what, theta, v);
    const std::vector<float> expected(whole.output().begin(), whole.output().end());
    ASSERT_EQ(expected.size(), static_cast<std::size_t>(kRows * 10));
    Threads all(3);
    std::vector<std::thread> threads;
    for (Index r = 0; r < 3; ++r) {
      threads.emplace_back([&, r] {
        const ThreadScope alone(1);
        ProgramObjective<float> of_rank(program(), batch(), {.output = logits});
        PiecedObjective<float> pieced(of_rank, {.examples = 3}, {.tangents = kTangents});
        Threads::Rank team(all, r);
        pieced.set_team(&team);
        pieced.bind(batch());
        ask(pieced, what, theta, v);
        const std::span<const float> output = pieced.output();
        ASSERT_EQ(output.size(), expected.size());
        for (Index row = kRows * r / 3; row < kRows * (r + 1) / 3; ++row) {
          for (Index i = 10 * row; i < 10 * (row + 1); ++i)
            EXPECT_NEAR(output[static_cast<std::size_t>(i)], expected[static_cast<std::size_t>(i)], 1e-5);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
}

// What a pass has seen before decides how it goes through rows; pieces have passes of their own.
TEST_F(PiecesTest, BitsDoNotDependOnWhatTheWholeWasAskedBefore) {
  const Tangents<float> v = tangents("gaussian");
  const Parameters<float> theta = initialize<float>(program().layout(), 1);
  ProgramObjective<float> whole(program(), batch());
  PiecedObjective<float> pieced(whole, {.examples = 4}, {.tangents = kTangents});
  pieced.bind(batch());
  const std::vector<double> before = numbers_of(pieced.slopes(theta, v));
  whole.bind(batch());
  whole.slopes(theta, v);
  EXPECT_EQ(numbers_of(pieced.slopes(theta, v)), before);
}

// Rank 0 tells a run that diverges, where it finds the same, from a rank that errs.
TEST_F(PiecesTest, ARankThatFindsNaNIsNamed) {
  const Tangents<float> v = tangents("rank-one");
  for (const Ask what : {Ask::kSlopes, Ask::kDifferences, Ask::kGradient, Ask::kActivities}) {
    for (const Divide divide : {Divide::kExamples, Divide::kTangents}) {
      if (divide == Divide::kTangents && (what == Ask::kGradient || what == Ask::kActivities)) continue;
      for (const bool everywhere : {true, false}) {
        Threads all(4);
        std::vector<std::string> messages(4);
        std::vector<float> damaged = images_;
        damaged[36 * 20] = std::nanf("");  // in the third of four pieces
        std::vector<std::thread> threads;
        for (Index r = 0; r < 4; ++r) {
          threads.emplace_back([&, r] {
            const ThreadScope alone(1);
            const Parameters<float> theta = initialize<float>(program().layout(), 1);
            Batch<float> own = batch();
            if (everywhere || r == 2) own.inputs[0] = std::span<const float>(damaged);
            ProgramObjective<float> whole(program(), own);
            PiecedObjective<float> pieced(whole, grid_of(divide, 4, 2), {.tangents = kTangents});
            Threads::Rank team(all, r);
            pieced.set_team(&team);
            pieced.bind(own);
            try {
              ask(pieced, what, theta, v);
            } catch (const NumericError& error) {
              messages[static_cast<std::size_t>(r)] = std::string("diverged: ") + error.what();
            } catch (const RankLost& lost) {
              messages[static_cast<std::size_t>(r)] = fmt::format("lost {}: {}", lost.rank(), lost.what());
            } catch (const TeamError& error) {
              messages[static_cast<std::size_t>(r)] = error.what();
            }
          });
        }
        for (std::thread& thread : threads) thread.join();
        const Index first = everywhere && divide == Divide::kTangents ? 0 : 2;
        const std::string nan = fmt::format("rank {}: the loss, a slope or the gradient is NaN or infinite", first);
        EXPECT_EQ(messages[0],
                  everywhere ? "diverged: " + nan : "lost 2: " + nan + "; rank 0 finds numbers in its place");
        for (std::size_t r = 1; r < 4; ++r) EXPECT_EQ(messages[r], "rank 0 has ended");
      }
    }
  }
}

TEST_F(PiecesTest, WhatDoesNotFitIsRefused) {
  ProgramObjective<float> whole(program(), batch());
  EXPECT_THROW(PiecedObjective<float>(whole, {.examples = 0}, {}), ArgumentError);
  EXPECT_THROW(grid_of(Divide::kExamples, 0, 2), ArgumentError);
  EXPECT_THAT([] { grid_of(Divide::kBoth, 5, 2); },
              ThrowsMessage<ArgumentError>(HasSubstr("expected a multiple of the 2 parts of the tangents, found 5")));
  PiecedObjective<float> pieced(whole, {.examples = 2}, {});
  Threads all(3);
  Threads::Rank team(all, 0);
  EXPECT_THAT([&] { pieced.set_team(&team); },
              ThrowsMessage<ArgumentError>(HasSubstr("expected at least one for each of 3 ranks, found 2")));
  Parameters<float> theta = initialize<float>(program().layout(), 1);
  const Tangents<float> v = tangents("rank-one");
  PiecedObjective<float> both(whole, {.examples = 2, .tangents = 2}, {});
  both.bind(batch());
  EXPECT_THROW(both.differences(theta, moves_along(v, true)), ArgumentError);
}

TEST(PieceGrid, HasAPowerOfTwoOfPieces) {
  EXPECT_EQ(pieces_for(Divide::kExamples, 2, 2, 50), 4);
  EXPECT_EQ(pieces_for(Divide::kExamples, 2, 5, 50), 8);
  EXPECT_EQ(pieces_for(Divide::kExamples, 2, 2, 1000), 16);
  EXPECT_EQ(pieces_for(Divide::kTangents, 2, 2, 1000), 4);
  EXPECT_EQ(pieces_for(Divide::kBoth, 2, 2, 1000), 32);  // 64 examples in each of two rows
  EXPECT_EQ(pieces_for(Divide::kBoth, 3, 4, 50), 6);
}

// Every rank hears from one of a lower number, and no rank says it to more than three.
TEST(Team, SaysThingsDownATree) {
  for (const Index ranks : {1, 2, 3, 4, 5, 8, 10, 100, 10000}) {
    std::vector<Index> heard(static_cast<std::size_t>(ranks));
    for (Index rank = 0; rank < ranks; ++rank) {
      const RankRange below = children_of(rank, ranks);
      EXPECT_LE(below.count(), rank == 0 ? 3 : 2);
      for (Index child = below.first; child < below.end; ++child) {
        ++heard[static_cast<std::size_t>(child)];
        EXPECT_EQ(parent_of(child), rank);
        EXPECT_LT(rank, child);
      }
    }
    for (Index rank = 1; rank < ranks; ++rank) EXPECT_EQ(heard[static_cast<std::size_t>(rank)], 1);
  }
}

// Eight slopes: 64 + 8 K bytes from no rank, however many there are.
TEST(PieceGrid, CountsWhatRanksSend) {
  const AnswerSize answers{.calls = 1, .tangents = 8, .numbers = 8};
  for (const Index ranks : {2, 4, 8, 16, 1024}) {
    const StepTraffic examples = traffic_of({.examples = 1024}, ranks, 4096, answers, 0);
    EXPECT_EQ(examples.up, (ranks - 1) * 40);
    EXPECT_EQ(examples.reply, 40);
    EXPECT_EQ(examples.all, (ranks - 1) * 80);
    EXPECT_LE(examples.most, 64 + 8 * 8) << ranks;
  }
  EXPECT_EQ(traffic_of({.tangents = 4}, 2, 64, answers, 0).up, 4 + 16);
  // The gradient of a head is that of the first part of the tangents, which are rank 0's.
  const AnswerSize headed{.calls = 1, .tangents = 8, .numbers = 8, .dense = 100};
  EXPECT_EQ(traffic_of({.tangents = 4}, 2, 64, headed, 0).up, 4 + 16);
  EXPECT_EQ(traffic_of({.tangents = 4}, 2, 64, headed, 0).reply, 40 + 400);
  EXPECT_EQ(traffic_of({.examples = 2, .tangents = 2}, 4, 64, headed, 0).up, 3 * 4 + 4 * (4 + 1 + 100 + 4 + 4));
  // Losses on a walk are doubles.
  EXPECT_EQ(traffic_of({.tangents = 4}, 2, 64, answers, 16).up, 4 + 8 * 8);
  EXPECT_EQ(traffic_of({.examples = 4}, 1, 64, answers, 0).all, 0);
}

}  // namespace
}  // namespace slopewise
