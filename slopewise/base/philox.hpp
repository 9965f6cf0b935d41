// Philox4x32-10, a counter-based random generator: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as
// 1, 2, 3", SC 2011. A draw is a pure function of a key and a counter, so it needs no state and no order.
#pragma once

#include <array>
#include <cstdint>

namespace slopewise {

// One block of four uniform 32-bit words for a 128-bit counter under a 64-bit key.
constexpr std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter, std::uint64_t key) {
  std::uint32_t key0 = static_cast<std::uint32_t>(key);
  std::uint32_t key1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key0, static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key1, static_cast<std::uint32_t>(product0)};
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return counter;
}

// Names an independent stream of random entries. Entry i of a stream is a pure function of these and i.
struct RandomKey {
  std::uint64_t seed = 0;    // the run's seed
  std::uint32_t step = 0;    // the iteration
  std::uint32_t stream = 0;  // which of the step's streams: a tangent's number, a purpose
};

// A key for an unrelated purpose of the same seed (initialisation, shuffling, one claim of a study), so that streams of
// different purposes never meet. `purpose` is any fixed number.
constexpr std::uint64_t derive_seed(std::uint64_t seed, std::uint64_t purpose) {
  const auto words = philox4x32(
      {static_cast<std::uint32_t>(purpose), static_cast<std::uint32_t>(purpose >> 32), 0x736C6F70, 0x65776973}, seed);
  return (std::uint64_t{words[0]} << 32) | words[1];
}

// A sequential generator over one stream, for everything that is not a tangent (shuffling, drawing digits). Satisfies
// std::uniform_random_bit_generator.
class RandomStream {
 public:
  using result_type = std::uint32_t;
  explicit RandomStream(std::uint64_t seed, std::uint64_t purpose = 0) : key_(derive_seed(seed, purpose)) {}

  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return 0xFFFFFFFF; }
  result_type operator()() {
    if (used_ == 4) {
      block_ = philox4x32({static_cast<std::uint32_t>(next_), static_cast<std::uint32_t>(next_ >> 32), 0, 0}, key_);
      ++next_;
      used_ = 0;
    }
    return block_[used_++];
  }

  // Uniform in [0, 1).
  double uniform() {
    const std::uint64_t high = (*this)() >> 5;
    const std::uint64_t low = (*this)() >> 6;
    return static_cast<double>(high * 67108864 + low) * 0x1p-53;
  }
  // Uniform in [low, high), up to the rounding of the last digit.
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  // Uniform in {0, …, count − 1}, without the bias of a remainder (Lemire 2019). count must be in [1, 2³²).
  std::uint32_t below(std::uint32_t count) {
    const std::uint32_t threshold = (0u - count) % count;
    while (true) {
      const std::uint64_t product = std::uint64_t{(*this)()} * count;
      if (static_cast<std::uint32_t>(product) >= threshold) return static_cast<std::uint32_t>(product >> 32);
    }
  }

 private:
  std::uint64_t key_;
  std::uint64_t next_ = 0;
  std::array<std::uint32_t, 4> block_{};
  int used_ = 4;
};

}  // namespace slopewise
