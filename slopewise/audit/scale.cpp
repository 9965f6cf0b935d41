#include "slopewise/audit/scale.hpp"

#include <fmt/format.h>

#include <bit>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "slopewise/base/error.hpp"
#include "slopewise/statistics/timing.hpp"

namespace slopewise {
namespace {

// A rate at which a step costs what any other does and θ stays where it is, within rounding.
constexpr double kStillRate = 1e-30;
// Steps timed of each share at most; the budget ends it before.
constexpr Index kRoundsOfShare = 300;

// The last of so many ranks, which has no fewer pieces than any other. The others answer at once, with any numbers.
class LastRank final : public Team {
 public:
  LastRank(Index size, const std::vector<float>& reply)
      : size_(size), reply_(reinterpret_cast<const char*>(reply.data()), reply.size() * sizeof(float)) {}
  Index rank() const override { return size_ - 1; }
  Index size() const override { return size_; }
  std::string settle(const std::string&, const Make&) override { return reply_; }
  std::vector<std::string> gather(const std::string& own) override {
    return std::vector<std::string>(static_cast<std::size_t>(size_), own);
  }
  Traffic traffic() const override { return {}; }

 private:
  Index size_;
  std::string reply_;
};

enum class Way { kExamples, kTangents, kBoth, kBackprop };

Divide divide_of(Way way) {
  if (way == Way::kBoth) return Divide::kBoth;
  return way == Way::kTangents ? Divide::kTangents : Divide::kExamples;
}

// A rank's share of a step, to be run again and again.
struct Share {
  std::unique_ptr<LastRank> team;
  std::unique_ptr<Trainer> trainer;
};

Share share_of(TrainSettings settings, const DataSplit& data, const Network& network, Way way, Index ranks) {
  settings.rate = kStillRate;
  settings.schedule = "constant";
  settings.warm_up = 0;
  settings.epochs = Index{1} << 30;
  settings.most_steps = 0;
  if (way == Way::kBackprop) {
    settings.method = {.estimator = "exact"};
    settings.batch = (settings.batch + ranks - 1) / ranks;
    settings.pieces = 0;
    return {.team = nullptr, .trainer = std::make_unique<Trainer>(settings, data, network)};
  }
  settings.divide = divide_of(way);
  settings.pieces = ranks > 1 ? pieces_for(settings.divide, settings.tangent_parts, ranks, settings.batch) : 0;
  Share share{.team = nullptr, .trainer = std::make_unique<Trainer>(settings, data, network)};
  if (ranks > 1) {
    share.team = std::make_unique<LastRank>(
        ranks, std::vector<float>(static_cast<std::size_t>(1 + share.trainer->logged_numbers()), 1.0F));
    share.trainer->share_with(share.team.get());
  }
  return share;
}

}  // namespace

nlohmann::ordered_json to_json(const RankStep& step) {
  return {{"seconds", step.seconds()},
          {"compute", step.compute},
          {"wire", step.wire},
          {"bytes", step.bytes},
          {"memory", step.memory}};
}

RankStep through_rank_zero(Index ranks, const StepTraffic& traffic, const Wire& wire) {
  if (ranks == 1) return {};
  const auto reply = static_cast<double>(traffic.reply);
  double seconds =
      wire.latency + static_cast<double>(ranks - 1) * wire.overhead + static_cast<double>(traffic.up) / wire.bandwidth;
  for (Index rank = ranks - 1; rank > 0; rank = parent_of(rank)) {
    const Index below = children_of(parent_of(rank), ranks).count();
    seconds += wire.latency + static_cast<double>(below) * (wire.overhead + reply / wire.bandwidth);
  }
  return {.wire = seconds, .bytes = static_cast<double>(traffic.all)};
}

RankStep allreduce(Index ranks, Index n, const Wire& wire) {
  if (ranks == 1) return {};
  const auto rounds = static_cast<double>(2 * std::bit_width(static_cast<std::uint64_t>(ranks - 1)));
  const double each = 2 * static_cast<double>(ranks - 1) / static_cast<double>(ranks) * 4 * static_cast<double>(n);
  return {.wire = rounds * (wire.latency + wire.overhead) + each / wire.bandwidth,
          .bytes = each * static_cast<double>(ranks)};
}

std::vector<ScalePoint> predict_scale(const TrainSettings& settings, const DataSplit& data, const Network& network,
                                      std::span<const Index> ranks, const Wire& wire, bool backprop, double budget,
                                      const std::function<void(double share)>& told) {
  const Index tangents = settings.method.options.tangents;
  const auto working = [&](Way way, Index count) {
    if (way == Way::kBoth) return std::min(count, settings.batch * std::min(tangents, settings.tangent_parts));
    return std::min(count, way == Way::kTangents ? tangents : settings.batch);
  };
  constexpr Way kWays[] = {Way::kExamples, Way::kTangents, Way::kBoth, Way::kBackprop};
  std::set<std::pair<Index, Way>> asked;  // by ranks, so that what is compared is timed in turn
  for (const Index count : ranks) {
    for (const Way way : kWays) {
      if (way != Way::kBackprop || backprop) asked.emplace(working(way, count), way);
    }
  }
  std::map<std::pair<Index, Way>, RankStep> shares_of;  // compute and memory
  Index n = 0;
  std::map<std::pair<Index, Way>, StepTraffic> traffic;  // by all ranks
  for (auto next = asked.begin(); next != asked.end();) {
    const Index count = next->first;
    std::vector<Share> shares;
    std::vector<std::function<void()>> steps;
    std::vector<Way> ways;
    for (; next != asked.end() && next->first == count; ++next) {
      shares.push_back(share_of(settings, data, network, next->second, count));
      ways.push_back(next->second);
      Trainer* trainer = shares.back().trainer.get();
      if (next->second != Way::kBackprop) {
        if (const std::string reason = trainer->not_logged(); !reason.empty())
          throw ArgumentError(fmt::format("ranks: expected steps along tangents of weights alone, found {}", reason));
        const Divide divide = divide_of(next->second);
        for (const Index all : ranks) {
          if (working(next->second, all) != count) continue;
          const Index pieces = pieces_for(divide, settings.tangent_parts, all, settings.batch);
          traffic[{all, next->second}] = trainer->traffic(grid_of(divide, pieces, settings.tangent_parts), all);
        }
      }
      n = trainer->parameters();
      steps.emplace_back([trainer] { trainer->advance(); });
    }
    const double part = static_cast<double>(ways.size()) / static_cast<double>(asked.size());
    const auto times = interleaved_seconds(steps, kRoundsOfShare, budget * part, "timing a rank's share of a step");
    for (std::size_t i = 0; i < ways.size(); ++i) {
      const Trainer& trainer = *shares[i].trainer;
      shares_of[{count, ways[i]}] = {.compute = median(times[i]),
                                     .memory = trainer.step_bytes() + trainer.state_bytes()};
    }
    told(part);
  }
  std::vector<ScalePoint> points;
  for (const Index count : ranks) {
    const auto step_of = [&](Way way, RankStep sent) {
      const RankStep& share = shares_of.at({working(way, count), way});
      sent.compute = share.compute;
      sent.memory = share.memory;
      return sent;
    };
    const auto by_slopes = [&](Way way) {
      return step_of(way, through_rank_zero(count, traffic.at({count, way}), wire));
    };
    points.push_back({.ranks = count,
                      .examples = by_slopes(Way::kExamples),
                      .tangents = by_slopes(Way::kTangents),
                      .both = by_slopes(Way::kBoth),
                      .backprop = backprop ? step_of(Way::kBackprop, allreduce(count, n, wire)) : RankStep()});
  }
  return points;
}

}  // namespace slopewise
