// What an op is: a shape rule, a pushforward (value, K tangents, K second-order terms in one visit), a pullback and a
// cost rule, stated side by side. A class derived from OpRules that lacks one of them does not compile.
//
// Every op works on rows: one row is one example, and no op mixes examples. A node that depends on parameters alone has
// one row, shared by all examples.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "slopewise/base/shape.hpp"
#include "slopewise/program/precision.hpp"
#include "slopewise/tensor/products/weight_product.hpp"
#include "slopewise/tensor/tangents.hpp"

namespace slopewise {

// A node's value along K directions θ + ε v_k, up to second order: value, d/dε and d²/dε² at ε = 0.
// A null pointer is a structural zero: neither stored nor computed.
template <class T>
struct Jet {
  Index rows = 0;                       // 1 for a node shared by all examples
  Index size = 0;                       // entries a row
  Index plane = 0;                      // entries from one tangent to the next: the rows may be some of more
  T* value = nullptr;                   // (rows, size)
  T* tangent = nullptr;                 // (K, rows, size)
  T* second = nullptr;                  // (K, rows, size)
  const std::int32_t* index = nullptr;  // (rows, size): what an integer input holds in place of value

  // Only for parameters whose consumers take them so:
  RankOne<T> rank_one;                    // the K tangents as factors, in place of `tangent`
  Drawn<T> drawn;                         // the K tangents as a function, in place of `tangent`
  const WeightProduct* packed = nullptr;  // the matrix as products read it, in place of `value`

  bool shared() const { return rows == 1; }
  bool active() const { return tangent || rank_one.left || drawn.fill; }
  void drop_tangents() {
    tangent = second = nullptr;
    rank_one = {};
    drawn = {};
  }
  // Row r; a shared node gives its one row to every example.
  Index row(Index r) const { return (rows == 1 ? 0 : r) * size; }
  T* value_row(Index r) const { return value + row(r); }
  T* tangent_row(Index k, Index r) const { return tangent + k * plane + row(r); }
  T* second_row(Index k, Index r) const { return second + k * plane + row(r); }

  // Rows [first, first + count) of it, of a jet that has one row an example.
  Jet rows_from(Index first, Index count) const {
    Jet part = *this;
    part.rows = count;
    if (value) part.value += first * size;
    if (tangent) part.tangent += first * size;
    if (second) part.second += first * size;
    if (index) part.index += first * size;
    return part;
  }
};

// Slope times tangent. What does not vary has no slope: a zero tangent gives 0 where the slope is infinite or NaN.
// Where the tangent varies, 0 · inf stays NaN. Here and below, a selection after the product can be vectorised.
template <class T>
T push_through(T slope, T tangent) {
  const T product = slope * tangent;
  return tangent == T{0} ? T{0} : product;
}
// Slope times cotangent, or tangent times tangent: 0 where either is, as a path through a slope of 0 brings the loss no
// tangent.
template <class T>
T pull_through(T slope, T cotangent) {
  const T product = slope * cotangent;
  return (slope == T{0}) | (cotangent == T{0}) ? T{0} : product;
}

class Op;

// One visit forward: fills every part of `out` that is not null.
template <class T>
struct Push {
  std::span<const Jet<T>> in;
  Jet<T> out;
  Index tangents = 0;                         // K; 0 asks for the value alone
  T* scratch = nullptr;                       // as many entries as the op's scratch rule says
  Precision precision = Precision::kFloat32;  // of the products with packed weights
  bool alone = false;  // no other visit is under way: the op may cut this one for several threads

  // For ops that finish rows: what acts on each row as soon as it is there, while it is in the first-level cache.
  const Op* next = nullptr;
  Jet<T> next_out;
  // Says that row r of `out` is complete.
  void finish(Index r) const;
};

// Where an input's cotangent goes; null where nobody needs it. The op adds to what is there if `accumulate`, else
// overwrites all of it.
template <class T>
struct Cotangent {
  T* data = nullptr;  // (rows of the input, size)
  bool accumulate = false;
  WeightProduct* packed = nullptr;  // in place of `data`: a packed matrix to add to, for ops that update in place

  explicit operator bool() const { return data || packed; }
};

// One visit backward: input cotangents from the output's. Asked for the cotangent of a shared input of a batched node,
// the op sums over the rows, in a fixed order.
template <class T>
struct Pull {
  std::span<const Jet<T>> in;    // values; null where the op's needs() say they are not needed
  Jet<T> out;                    // likewise
  const T* cotangent = nullptr;  // (rows, size) of the output
  std::span<const Cotangent<T>> in_cotangents;
  T* scratch = nullptr;
};

// What the pullback reads beside the output's cotangent; everything else may be gone by then.
struct Needs {
  bool inputs = true;
  bool output = false;
};

// What a rule may know about an input before anything runs.
struct InputInfo {
  Shape shape;            // of one row
  bool shared = false;    // one row for all examples
  bool integer = false;   // holds indices, not numbers
  bool active = false;    // gives the op its tangents; in a pullback, gets a cotangent
  bool rank_one = false;  // its tangents are factors
  bool drawn = false;     // its tangents are a function
};

// Work of one row. flops counts a multiply-add as two.
struct OpCost {
  double value = 0;     // flops of the value
  double tangent = 0;   // further flops of one tangent, given which inputs carry one
  double pullback = 0;  // flops of the cotangents of the active inputs
};

// One visit as its scratch is planned.
struct VisitSize {
  Index rows = 1;
  Index tangents = 0;
  Precision precision = Precision::kFloat32;
  bool pullback = false;
  int threads = 1;  // that the op may cut the visit for; the scratch is for all of them
};

// Inputs one op may have.
inline constexpr std::size_t kMostInputs = 32;

// How an op may be visited.
struct OpTraits {
  // Entry j of the output depends on entry j of its only input alone: it may act row by row, without scratch, and write
  // where it reads.
  bool elementwise = false;
  bool finishes_rows = false;  // it calls finish() for every row
  // It cuts its visits for several threads itself, forward where they are alone, and back; other ops are visited piece
  // by piece.
  bool cuts_itself = false;
  // So wide that threads should share every visit of it, each with weights of its own, rather than make whole visits
  // for different rows.
  bool wide = false;
  // Its pullback makes 0 of a coefficient that is 0, be the cotangent infinite or NaN: it has pull_through or only
  // moves and adds. In visits of other ops such cotangents go back apart from the rest (infinite.hpp).
  bool keeps_zeros = false;
};

// How it takes one of its inputs.
struct InputTraits {
  // Whether the output varies with it: not with the condition of a choice, nor with what is compared or rounded. Along
  // such an input there is no slope: its tangents are not read, it is given no cotangent.
  bool varies = true;
  bool integer = false;   // it holds integers; numbers and integers are not taken for each other
  bool rank_one = false;  // it may come with rank-one tangents; elsewhere they are expanded first
  bool drawn = false;     // its dense tangents may be a function of the entry; elsewhere they are stored
  bool packed = false;    // it is read as packed weights
  // The pullback may add the cotangent of this input, a parameter, to the parameter itself: it reads the parameter's
  // value for no other cotangent of the same visit.
  bool updated_in_place = false;
};

// Entries [begin, end) of one axis.
struct Range {
  Index axis, begin, end;
};
// How they are made of part of the inputs.
struct NarrowOp {
  std::shared_ptr<const Op> op;  // null: the same one
  // Of each input the axis of which the same entries are read; −1: all of it is read.
  std::vector<Index> axes;
};

class Op {
 public:
  virtual ~Op() = default;
  virtual std::string_view name() const = 0;
  // Shape of one output row. Throws ShapeError if the inputs do not fit; the message names the op and the shapes.
  virtual Shape shape(std::span<const InputInfo> in) const = 0;
  virtual OpCost cost(std::span<const InputInfo> in, const Shape& out) const = 0;
  virtual Needs needs() const { return {}; }
  // Whether the second-order term is non-zero where the inputs have first-order terms only.
  virtual bool curves(std::span<const InputInfo> in) const = 0;
  virtual OpTraits traits() const { return {}; }
  virtual InputTraits takes(std::size_t) const { return {}; }
  // How entries of the output are made without the rest of it; nothing where they are not.
  virtual std::optional<NarrowOp> narrowed(std::span<const InputInfo>, const Shape&, const Range&) const { return {}; }
  // Entries of scratch one visit needs; a pullback's visit of shared inputs covers all rows of a tile.
  virtual Index scratch(std::span<const InputInfo>, const Shape&, const VisitSize&) const { return 0; }

  virtual void push(const Push<float>&) const = 0;
  virtual void push(const Push<double>&) const = 0;
  virtual void pull(const Pull<float>&) const = 0;
  virtual void pull(const Pull<double>&) const = 0;
};

template <class T>
void Push<T>::finish(Index r) const {
  if (!next) return;
  const Jet<T> row = out.rows_from(r, 1);
  next->push(Push{.in = {&row, 1}, .out = next_out.rows_from(r, 1), .tangents = tangents});
}

// Base of every op: `Derived` states the rules once, as templates pushforward<T> and pullback<T>.
template <class Derived>
class OpRules : public Op {
 public:
  std::string_view name() const final { return Derived::kName; }
  void push(const Push<float>& visit) const final { self().template pushforward<float>(visit); }
  void push(const Push<double>& visit) const final { self().template pushforward<double>(visit); }
  void pull(const Pull<float>& visit) const final { self().template pullback<float>(visit); }
  void pull(const Pull<double>& visit) const final { self().template pullback<double>(visit); }

 private:
  const Derived& self() const { return static_cast<const Derived&>(*this); }
};

// Base of ops that are linear in their inputs together, entry moves and fixed sums: `Derived` states one row of the
// map, apply<T>(rows of the inputs, output row), where a null input is zero, and of its transpose, adjoint<T>(cotangent
// row, input number, row to add to). The same map serves the value, every tangent and every second-order term.
template <class Derived>
class LinearMap : public OpRules<Derived> {
 public:
  bool curves(std::span<const InputInfo>) const final { return false; }
  Needs needs() const final { return {.inputs = false, .output = false}; }

  template <class T>
  void pushforward(const Push<T>& visit) const {
    apply_rows(
        visit, [](const Jet<T>& jet, Index r) -> const T* { return jet.value_row(r); },
        [](const Jet<T>& jet, Index r) { return jet.value_row(r); });
    for (Index k = 0; k < visit.tangents; ++k) {
      if (visit.out.tangent) {
        apply_rows(
            visit,
            [k](const Jet<T>& jet, Index r) -> const T* { return jet.tangent ? jet.tangent_row(k, r) : nullptr; },
            [k](const Jet<T>& jet, Index r) { return jet.tangent_row(k, r); });
      }
      if (visit.out.second) {
        apply_rows(
            visit, [k](const Jet<T>& jet, Index r) -> const T* { return jet.second ? jet.second_row(k, r) : nullptr; },
            [k](const Jet<T>& jet, Index r) { return jet.second_row(k, r); });
      }
    }
  }

  template <class T>
  void pullback(const Pull<T>& visit) const {
    const Derived& self = static_cast<const Derived&>(*this);
    for (std::size_t i = 0; i < visit.in.size(); ++i) {
      const Cotangent<T>& target = visit.in_cotangents[i];
      if (!target) continue;
      for (Index r = 0; r < visit.out.rows; ++r) {
        T* row = target.data + visit.in[i].row(r);
        if (!target.accumulate && (r == 0 || !visit.in[i].shared())) std::fill_n(row, visit.in[i].size, T{0});
        self.template adjoint<T>(visit.cotangent + r * visit.out.size, i, row);
      }
    }
  }

 private:
  template <class T, class From, class To>
  void apply_rows(const Push<T>& visit, From from, To to) const {
    std::array<const T*, kMostInputs> in;
    for (Index r = 0; r < visit.out.rows; ++r) {
      for (std::size_t i = 0; i < visit.in.size(); ++i) in[i] = from(visit.in[i], r);
      static_cast<const Derived&>(*this).template apply<T>(std::span<const T* const>(in.data(), visit.in.size()),
                                                           to(visit.out, r));
    }
  }
};

}  // namespace slopewise
