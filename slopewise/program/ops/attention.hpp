// Attention (ops/attention.cpp) and rotary positions (ops/rope.cpp).
#pragma once

#include <optional>
#include <vector>

#include "slopewise/program/graph.hpp"

namespace slopewise {

struct AttentionOptions {
  // Query i sees the keys up to i + causal_offset alone.
  bool causal = false;
  Index causal_offset = 0;
  std::optional<double> scale;  // of the products q · k; none: 1/√d
  // Added to the scaled products: (heads or 1, Tq or 1, Tk), or without the first axis; −inf hides a key.
  std::optional<Node> mask;
  // Whether q, k, v and the result are (T, heads, d) in place of (heads, T, d): so they come from one linear map, and
  // are read where they lie.
  bool heads_second = false;
};

// softmax(scale q kᵀ + mask) v for each head: q (heads, Tq, d), k (kv_heads, Tk, d), v (kv_heads, Tk, dv) -> (heads,
// Tq, dv). Where there are fewer kv_heads, a divisor of heads, consecutive heads share one (grouped queries, Ainslie et
// al. 2023, arXiv 2305.13245). A query that sees no key gives 0. Memory grows with Tq and Tk, not with their product:
// see ops/attention.cpp.
Node scaled_dot_product_attention(const Node& q, const Node& k, const Node& v, const AttentionOptions& options = {});

// Whose pairs of entries turn together.
enum class RopePairs {
  kNeighbours,  // 2i and 2i + 1, as Su et al. 2021 (arXiv 2104.09864) and Llama's own weights have them
  kHalves,      // i and i + width / 2, as GPT-NeoX and Hugging Face's weights have them
};
// Rotary positions on x (…, T, width), or (T, heads, width) where `heads_second`: at position t pair i turns by the
// angle whose cosine and sine are entries t · pairs + i of the tables, (a, b) -> (a cos − b sin, a sin + b cos). The
// tables hold T times as many entries as there are pairs; entries of x after the last pair stay as they are.
Node rope(const Node& x, std::vector<double> cosines, std::vector<double> sines,
          RopePairs pairs = RopePairs::kNeighbours, bool heads_second = false);

}  // namespace slopewise
