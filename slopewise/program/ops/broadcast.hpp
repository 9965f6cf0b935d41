// Inputs of different shapes met entry by entry, by NumPy's rule: shapes are aligned at their ends, and an axis of one
// entry, or one that is missing, is repeated.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <type_traits>
#include <vector>

#include "slopewise/base/error.hpp"
#include "slopewise/base/shape.hpp"

namespace slopewise {

// A row of the output as runs of neighbours, in which each of N inputs moves along or repeats one entry.
template <std::size_t N>
class Broadcast {
 public:
  // Throws ShapeError, naming the op and the shapes, where an axis has two extents and neither is 1.
  Broadcast(std::string_view op, const std::array<Shape, N>& in) : shape_(joined(op, in)) {
    moves_.fill(true);
    if (shape_.size() == 0) return;
    Index axis = shape_.rank();
    for (bool first = true; axis > 0; --axis) {
      if (shape_[axis - 1] == 1) continue;
      const std::array<bool, N> moves = moving(in, axis - 1);
      if (!first && moves != moves_) break;
      moves_ = moves;
      length_ *= shape_[axis - 1];
      first = false;
    }
    starts_.resize(static_cast<std::size_t>(shape_.size() / length_));
    for (std::size_t n = 0; n < N; ++n) place(in[n], n, axis);
  }

  const Shape& shape() const { return shape_; }

  // Calls body(row, at, starts, length) for every run of `rows` rows: it begins at entry `at` of the output's row and
  // starts[n] of input n's. Rows that lie one after another in all inputs (`apart`: none is shared) are one run where
  // the shapes are equal.
  template <class F>
  void each_run(Index rows, bool apart, F body) const {
    if (apart && starts_.size() == 1 && std::find(moves_.begin(), moves_.end(), false) == moves_.end())
      return body(Index{0}, Index{0}, starts_[0], rows * length_);
    for (Index r = 0; r < rows; ++r) {
      for (std::size_t run = 0; run < starts_.size(); ++run)
        body(r, static_cast<Index>(run) * length_, starts_[run], length_);
    }
  }

  // Calls body(step_0, …, step_{N−1}) with the inputs' steps within a run, 0 or 1, as constants.
  template <class F>
  void with_steps(F body) const {
    choose<0>(body);
  }

 private:
  static Shape joined(std::string_view op, const std::array<Shape, N>& in) {
    std::size_t rank = 0;
    for (const Shape& shape : in) rank = std::max(rank, shape.extents().size());
    std::vector<Index> extents(rank, 1);
    for (const Shape& shape : in) {
      for (std::size_t i = 0; i < shape.extents().size(); ++i) {
        Index& extent = extents[rank - shape.extents().size() + i];
        const Index own = shape.extents()[i];
        if (own != extent && own != 1 && extent != 1) {
          std::string found;
          for (const Shape& each : in) found += (found.empty() ? "" : " and ") + each.to_string();
          throw ShapeError(fmt::format(
              "{}: expected shapes that are equal from the end on, or have axes of one entry there, found {}", op,
              found));
        }
        if (own != 1) extent = own;
      }
    }
    return Shape(extents);
  }
  // Which inputs have more than one entry along an axis of the output.
  std::array<bool, N> moving(const std::array<Shape, N>& in, Index axis) const {
    std::array<bool, N> moves{};
    for (std::size_t n = 0; n < N; ++n) {
      const Index own = axis - (shape_.rank() - in[n].rank());
      moves[n] = own >= 0 && in[n][own] != 1;
    }
    return moves;
  }
  // Where input n is at the start of each run; `outer` axes of the output lie outside the runs.
  void place(const Shape& in, std::size_t n, Index outer) {
    std::vector<Index> strides(static_cast<std::size_t>(outer), 0), at(static_cast<std::size_t>(outer), 0);
    const Index missing = shape_.rank() - in.rank();
    Index stride = 1;
    for (Index axis = shape_.rank(); axis-- > missing;) {
      if (axis < outer && in[axis - missing] != 1) strides[axis] = stride;
      stride *= in[axis - missing];
    }
    Index here = 0;
    for (auto& start : starts_) {
      start[n] = here;
      for (Index axis = outer; axis-- > 0;) {
        const auto a = static_cast<std::size_t>(axis);
        here += strides[a];
        if (++at[a] < shape_[axis]) break;
        here -= strides[a] * at[a];
        at[a] = 0;
      }
    }
  }
  template <std::size_t n, class F, class... Steps>
  void choose(F& body, Steps... steps) const {
    if constexpr (n == N) {
      body(steps...);
    } else if (moves_[n]) {
      choose<n + 1>(body, steps..., std::integral_constant<Index, 1>{});
    } else {
      choose<n + 1>(body, steps..., std::integral_constant<Index, 0>{});
    }
  }

  Shape shape_;
  Index length_ = 1;                          // entries of one run
  std::array<bool, N> moves_{};               // whether input n moves along a run
  std::vector<std::array<Index, N>> starts_;  // of each run, in each input's row
};

}  // namespace slopewise
