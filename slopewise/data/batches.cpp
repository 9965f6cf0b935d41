#include "slopewise/data/batches.hpp"

#include <fmt/format.h>

#include <numeric>
#include <utility>

#include "slopewise/base/error.hpp"
#include "slopewise/base/philox.hpp"

namespace slopewise {
namespace {

constexpr std::uint64_t kShufflePurpose = 0x73687566666C65;  // "shuffle"

}  // namespace

Batches::Batches(std::int64_t count, std::int64_t batch, std::uint64_t seed)
    : count_(count), batch_(batch), seed_(derive_seed(seed, kShufflePurpose)) {
  if (count < 1 || count > std::int64_t{0xFFFFFFFF}) {
    throw ArgumentError(fmt::format("Batches: count is {}, expected 1 to 2^32 - 1", count));
  }
  if (batch < 1 || batch > count) {
    throw ArgumentError(fmt::format("batch: expected 1 to {}, the examples there are, found {}", count, batch));
  }
}

std::vector<std::int64_t> Batches::indices(std::int64_t step) const {
  if (step < 0) throw ArgumentError(fmt::format("Batches::indices: step is {}, expected 0 or more", step));
  if (const std::int64_t epoch = step / per_epoch(); epoch != epoch_) shuffle(epoch);
  const auto first = order_.begin() + (step % per_epoch()) * batch_;
  return {first, first + batch_};
}

void Batches::shuffle(std::int64_t epoch) const {
  order_.resize(static_cast<std::size_t>(count_));
  std::iota(order_.begin(), order_.end(), 0);
  RandomStream random(seed_, static_cast<std::uint64_t>(epoch));
  for (std::int64_t left = count_; left > 1; --left) {
    std::swap(order_[left - 1], order_[random.below(static_cast<std::uint32_t>(left))]);
  }
  epoch_ = epoch;
}

}  // namespace slopewise
