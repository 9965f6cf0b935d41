// scaled_dot_product_attention: y = Σ_j p_j v_j with p = softmax(s), s = scale q kᵀ + mask, for each query of each
// head. Keys come in blocks; what is kept of those that have passed is, with e = exp(s − m) for the largest s so far,
// m,
//   l = Σ e,  l̇ = Σ e ṡ,             l̈ = Σ e (ṡ² + s̈),
//   n = Σ e v,  ṅ = Σ e (ṡ v + v̇),  n̈ = Σ e ((ṡ² + s̈) v + 2 ṡ v̇ + v̈),
// all multiplied by exp(m − m′) where a larger m′ comes (Milakov and Gimelshein 2018, arXiv 1805.02867). Then
//   y = n / l,  ẏ = (ṅ − l̇ y) / l,  ÿ = (n̈ − 2 l̇ ẏ − l̈ y) / l
// where n, ṅ and n̈ were, in the result's own memory. Scratch holds a block of queries times a block of keys: neither a
// value nor any tangent holds Tq × Tk. The way back makes m and l again, and then
//   v̄ = pᵀ ȳ,  s̄ = p (ȳ vᵀ − ȳ · y),  q̄ = scale s̄ k,  k̄ = scale s̄ᵀ q.
// A query that sees no key has l = 0: value, tangents and cotangents are 0.
#include "slopewise/program/ops/attention.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "slopewise/base/error.hpp"
#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/examples.hpp"
#include "slopewise/tensor/exponential.hpp"
#include "slopewise/tensor/matmul.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

// Blocks: a product of them runs at speed, and three of them fit a second-level cache.
constexpr Index kQueries = 64, kMostQueries = 128;
constexpr Index kKeys = 256;

// Where the rows of each head of q, k, v or y are.
struct Heads {
  Index count = 0, length = 0, width = 0;
  Index head_stride = 0, stride = 0;  // entries from a head to the next, and from a row to the next

  Heads() = default;
  Heads(const Shape& shape, bool heads_second)
      : count(shape[heads_second ? 1 : 0]), length(shape[heads_second ? 0 : 1]), width(shape[2]) {
    head_stride = heads_second ? width : length * width;
    stride = heads_second ? count * width : width;
  }
  Index at(Index head, Index row) const { return head * head_stride + row * stride; }
};

template <class T>
T largest_of(const T* x, Index n) {
  using V = Lanes<T>;
  T most = -std::numeric_limits<T>::infinity();
  Index i = 0;
  if (n >= kLanes<T>) {
    V all = load<V>(x);
    for (i = kLanes<T>; i + kLanes<T> <= n; i += kLanes<T>) {
      const V next = load<V>(x + i);
      all = next > all ? next : all;
    }
    for (Index lane = 0; lane < kLanes<T>; ++lane) most = std::max(most, all[lane]);
  }
  for (; i < n; ++i) most = std::max(most, x[i]);
  return most;
}

class Attention final : public OpRules<Attention> {
 public:
  static constexpr std::string_view kName = "scaled_dot_product_attention";
  // `mask`: the shape of options.mask, which is not looked at.
  Attention(const Shape& q, const Shape& k, const Shape& v, const AttentionOptions& options,
            const std::optional<Shape>& mask)
      : heads_second_(options.heads_second),
        q_(q, options.heads_second),
        k_(k, options.heads_second),
        v_(v, options.heads_second),
        y_({q[0], q[1], v[2]}, options.heads_second),
        out_{q[0], q[1], v[2]},
        causal_(options.causal),
        offset_(options.causal_offset),
        scale_(options.scale ? *options.scale : 1 / std::sqrt(static_cast<double>(std::max<Index>(q[2], 1)))),
        queries_(q_.length <= kMostQueries ? q_.length : kQueries),
        keys_(std::min(k_.length, kKeys)) {
    if (!mask) return;
    const Index heads = mask->rank() > 2 ? (*mask)[0] : 1, rows = (*mask)[-2];
    if (rows > 1) mask_row_ = k_.length;
    if (heads > 1) mask_head_ = rows * k_.length;
  }

  Shape shape(std::span<const InputInfo>) const override { return out_; }
  // Of some queries.
  std::optional<NarrowOp> narrowed(std::span<const InputInfo> in, const Shape&, const Range& at) const override {
    if (at.axis != (heads_second_ ? 0 : 1)) return {};
    std::vector<Index> queries = in[0].shape.extents();
    queries[at.axis] = at.end - at.begin;
    NarrowOp narrow{.op = nullptr, .axes = std::vector<Index>(in.size(), -1)};
    narrow.axes[0] = at.axis;
    std::optional<Shape> mask;
    if (in.size() > 3) {
      std::vector<Index> extents = in[3].shape.extents();
      if (mask_row_ > 0) {
        narrow.axes[3] = in[3].shape.rank() - 2;
        extents[narrow.axes[3]] = at.end - at.begin;
      }
      mask.emplace(extents);
    }
    narrow.op = std::make_shared<Attention>(Shape(queries), in[1].shape, in[2].shape,
                                            AttentionOptions{.causal = causal_,
                                                             .causal_offset = offset_ + at.begin,
                                                             .scale = scale_,
                                                             .mask = {},
                                                             .heads_second = heads_second_},
                                            mask);
    return narrow;
  }
  OpCost cost(std::span<const InputInfo> in, const Shape&) const override {
    const double pairs = static_cast<double>(q_.count) * static_cast<double>(q_.length) *
                         static_cast<double>(k_.length) * (causal_ && offset_ == 0 ? 0.5 : 1);
    const double inner = 2 * pairs * static_cast<double>(q_.width), outer = 2 * pairs * static_cast<double>(v_.width);
    const bool moves = in[0].active || in[1].active || (in.size() > 3 && in[3].active);
    return {.value = inner + outer + 10 * pairs,
            .tangent = inner * (in[0].active + in[1].active) + outer * (moves + in[2].active) + 3 * pairs,
            .pullback = inner * (1 + in[0].active + in[1].active) + outer * (moves + in[2].active) + 15 * pairs};
  }
  Needs needs() const override { return {.inputs = true, .output = true}; }
  bool curves(std::span<const InputInfo>) const override { return true; }
  // Blocks of e, ṡ and s̈, or of p and s̄; and for each query m, l, a factor, and K times l̇ and l̈.
  Index scratch(std::span<const InputInfo>, const Shape&, const VisitSize& visit) const override {
    const Index blocks = visit.pullback ? 2 : visit.tangents > 0 ? 3 : 1;
    return blocks * block() + (3 + 2 * visit.tangents) * queries_;
  }

  template <class T>
  void pushforward(const Push<T>& visit) const {
    for (Index part = 0; part < 1 + visit.tangents; ++part) {
      const Index plane = visit.out.rows * visit.out.size;
      if (part == 0) std::fill_n(visit.out.value, plane, T{0});
      if (part > 0) std::fill_n(visit.out.tangent + (part - 1) * visit.out.plane, plane, T{0});
      if (part > 0 && visit.out.second) std::fill_n(visit.out.second + (part - 1) * visit.out.plane, plane, T{0});
    }
    for (Index r = 0; r < visit.out.rows; ++r) {
      for (Index head = 0; head < q_.count; ++head) {
        for (Index first = 0; first < q_.length; first += queries_) {
          push_block(visit, {r, head, first, std::min(queries_, q_.length - first)});
        }
      }
    }
  }

  template <class T>
  void pullback(const Pull<T>& visit) const {
    for (std::size_t i = 0; i < visit.in.size(); ++i) {
      const Cotangent<T>& target = visit.in_cotangents[i];
      if (target && !target.accumulate) std::fill_n(target.data, visit.in[i].rows * visit.in[i].size, T{0});
    }
    for (Index r = 0; r < visit.out.rows; ++r) {
      for (Index head = 0; head < q_.count; ++head) {
        for (Index first = 0; first < q_.length; first += queries_) {
          pull_block(visit, {r, head, first, std::min(queries_, q_.length - first)});
        }
      }
    }
  }

 private:
  // Queries [first, first + count) of one head of one example.
  struct Queries {
    Index row, head, first, count;
  };
  // One plane of each input: values, a tangent, or a second-order term; from the block's first query on, from the first
  // key, and of the mask from the first query's row on. Null where it is zero or absent.
  template <class T>
  struct Operands {
    const T *q = nullptr, *k = nullptr, *v = nullptr, *mask = nullptr;
    bool moves() const { return q || k || mask; }
  };

  Index block() const { return queries_ * keys_; }
  Index kv_head(Index head) const { return head / (q_.count / k_.count); }
  // Keys that some query of the block sees.
  Index visible(const Queries& at) const {
    return causal_ ? std::clamp<Index>(at.first + at.count + offset_, 0, k_.length) : k_.length;
  }

  // plane(jet) is the first entry of the plane, or null.
  template <class T, class Plane>
  Operands<T> operands(std::span<const Jet<T>> in, const Queries& at, Plane plane) const {
    const auto from = [&](std::size_t input, Index offset) -> const T* {
      if (input >= in.size()) return nullptr;
      const T* start = plane(in[input]);
      return start ? start + in[input].row(at.row) + offset : nullptr;
    };
    return {from(0, q_.at(at.head, at.first)), from(1, k_.at(kv_head(at.head), 0)), from(2, v_.at(kv_head(at.head), 0)),
            from(3, at.head * mask_head_ + at.first * mask_row_)};
  }
  template <class T>
  Operands<T> values(std::span<const Jet<T>> in, const Queries& at) const {
    return operands(in, at, [](const Jet<T>& jet) { return static_cast<const T*>(jet.value); });
  }

  // s (+)= factor scale q kᵀ for keys [key, key + count).
  template <class T>
  void multiply(const Queries& at, const T* q, const T* k, Index key, Index count, double factor, bool accumulate,
                T* s) const {
    matmul<T>(at.count, count, q_.width, static_cast<T>(factor * scale_), {q, q_.stride},
              {k + key * k_.stride, k_.stride, true}, accumulate ? T{1} : T{0}, s, count);
  }
  // s += the mask, row by row.
  template <class T>
  void add_mask(const Queries& at, const T* mask, Index key, Index count, T* s) const {
    for (Index i = 0; mask && i < at.count; ++i) axpy(T{1}, mask + i * mask_row_ + key, s + i * count, count);
  }
  // y (+)= factor w v.
  template <class T>
  void weigh(const Queries& at, const T* w, Index count, T factor, const T* v, Index key, T* y) const {
    matmul<T>(at.count, v_.width, count, factor, {w, count}, {v + key * v_.stride, v_.stride}, T{1}, y, y_.stride);
  }
  // s of a block, −inf where a key is hidden.
  template <class T>
  void scores(const Queries& at, const Operands<T>& in, Index key, Index count, T* s) const {
    multiply(at, in.q, in.k, key, count, 1, false, s);
    add_mask(at, in.mask, key, count, s);
    for (Index i = 0; causal_ && i < at.count; ++i) {
      const Index seen = std::clamp<Index>(at.first + i + offset_ + 1 - key, 0, count);
      std::fill(s + i * count + seen, s + (i + 1) * count, -std::numeric_limits<T>::infinity());
    }
  }
  // Turns a block of s into e, and takes it into m and l; `factors`: what sums made so far are multiplied by.
  template <class T>
  static void exponentiate(const Queries& at, Index count, T* s, T* m, T* l, T* factors) {
    for (Index i = 0; i < at.count; ++i) {
      const T most = std::max(m[i], largest_of(s + i * count, count));
      if (most == -std::numeric_limits<T>::infinity()) {  // nothing seen yet: e is 0, or NaN where s is
        for (Index j = 0; j < count; ++j) s[i * count + j] = s[i * count + j] == most ? T{0} : s[i * count + j];
        factors[i] = T{1};
        l[i] += sum_of(s + i * count, count);
        continue;
      }
      factors[i] = m[i] == most ? T{1} : std::exp(m[i] - most);
      m[i] = most;
      l[i] = l[i] * factors[i] + exp_shifted(s + i * count, count, -most);
    }
  }

  template <class T>
  void push_block(const Push<T>& visit, const Queries& at) const {
    const Index tangents = visit.tangents;
    T* e = visit.scratch;
    T* rest = e + (tangents > 0 ? 3 : 1) * block();
    T *m = rest, *l = m + queries_, *factors = l + queries_;
    T *l_dot = factors + queries_, *l_second = l_dot + tangents * queries_;
    std::fill_n(m, queries_, -std::numeric_limits<T>::infinity());
    std::fill_n(l, queries_, T{0});
    std::fill_n(l_dot, 2 * tangents * queries_, T{0});
    const Operands<T> in = values(visit.in, at);
    T* y = visit.out.value_row(at.row) + y_.at(at.head, at.first);
    const Index end = visible(at);
    for (Index key = 0; key < end; key += keys_) {
      const Index count = std::min(keys_, end - key);
      scores(at, in, key, count, e);
      exponentiate(at, count, e, m, l, factors);
      scale_sums(visit, at, factors, l_dot, l_second);
      weigh(at, e, count, T{1}, in.v, key, y);
      for (Index k = 0; k < tangents; ++k)
        push_tangent(visit, at, in, k, key, count, l_dot + k * queries_, l_second + k * queries_);
    }
    for (Index i = 0; i < at.count; ++i) divide_row(visit, at, i, l[i], l_dot + i, l_second + i);
  }

  // Takes a block of keys into the sums of tangent k and its second-order term.
  template <class T>
  void push_tangent(const Push<T>& visit, const Queries& at, const Operands<T>& in, Index k, Index key, Index count,
                    T* l_dot, T* l_second) const {
    const auto plane_of = [&](auto member) {
      return operands(visit.in, at, [&](const Jet<T>& jet) -> const T* {
        return jet.*member ? jet.*member + k * jet.plane : nullptr;
      });
    };
    const Operands<T> dot = plane_of(&Jet<T>::tangent), second = plane_of(&Jet<T>::second);
    const T* e = visit.scratch;
    T* moved = visit.scratch + block();
    T* bent = moved + block();
    const Index here = y_.at(at.head, at.first);
    T* y_dot = visit.out.tangent_row(k, at.row) + here;
    T* y_second = visit.out.second ? visit.out.second_row(k, at.row) + here : nullptr;
    if (dot.moves()) {
      rise(at, {{dot.q, in.k, 1}, {in.q, dot.k, 1}}, dot.mask, key, count, moved);
      if (y_second)
        rise(at, {{second.q, in.k, 1}, {dot.q, dot.k, 2}, {in.q, second.k, 1}}, second.mask, key, count, bent);
      for (Index i = 0; i < at.count; ++i) {
        const T* e_row = e + i * count;
        T* w = moved + i * count;
        if (y_second) {
          T* u = bent + i * count;
          for (Index j = 0; j < count; ++j) u[j] = e_row[j] * (w[j] * w[j] + u[j]);
          l_second[i] += sum_of(u, count);
        }
        for (Index j = 0; j < count; ++j) w[j] *= e_row[j];
        l_dot[i] += sum_of(w, count);
      }
      weigh(at, moved, count, T{1}, in.v, key, y_dot);
      if (y_second) weigh(at, bent, count, T{1}, in.v, key, y_second);
      if (y_second && dot.v) weigh(at, moved, count, T{2}, dot.v, key, y_second);
    }
    if (dot.v) weigh(at, e, count, T{1}, dot.v, key, y_dot);
    if (y_second && second.v) weigh(at, e, count, T{1}, second.v, key, y_second);
  }

  // One of the products that ṡ and s̈ are sums of.
  template <class T>
  struct Term {
    const T *q, *k;
    double factor;
  };
  // s = the sum of the terms and the mask's.
  template <class T>
  void rise(const Queries& at, std::initializer_list<Term<T>> terms, const T* mask, Index key, Index count,
            T* s) const {
    bool written = false;
    for (const Term<T>& term : terms) {
      if (!term.q || !term.k) continue;
      multiply(at, term.q, term.k, key, count, term.factor, written, s);
      written = true;
    }
    if (!written) std::fill_n(s, at.count * count, T{0});
    add_mask(at, mask, key, count, s);
  }

  // Multiplies what has been summed for each query by its factor.
  template <class T>
  void scale_sums(const Push<T>& visit, const Queries& at, const T* factors, T* l_dot, T* l_second) const {
    const Jet<T>& y = visit.out;
    for (Index i = 0; i < at.count; ++i) {
      const T factor = factors[i];
      if (factor == T{1}) continue;
      const Index here = y_.at(at.head, at.first + i);
      const auto scale_row = [&](T* row) {
        for (Index j = 0; j < v_.width; ++j) row[here + j] *= factor;
      };
      scale_row(y.value_row(at.row));
      for (Index k = 0; k < visit.tangents; ++k) {
        l_dot[k * queries_ + i] *= factor;
        l_second[k * queries_ + i] *= factor;
        scale_row(y.tangent_row(k, at.row));
        if (y.second) scale_row(y.second_row(k, at.row));
      }
    }
  }

  // y, ẏ and ÿ of query i from the sums; tangent k's l̇ and l̈ are k · queries_ entries on.
  template <class T>
  void divide_row(const Push<T>& visit, const Queries& at, Index i, T l, const T* l_dot, const T* l_second) const {
    const T inverse = l == T{0} ? T{0} : T{1} / l;
    const Index here = y_.at(at.head, at.first + i);
    T* y = visit.out.value_row(at.row) + here;
    for (Index j = 0; j < v_.width; ++j) y[j] *= inverse;
    for (Index k = 0; k < visit.tangents; ++k) {
      const T first = l_dot[k * queries_] * inverse, second = l_second[k * queries_] * inverse;
      T* y_dot = visit.out.tangent_row(k, at.row) + here;
      for (Index j = 0; j < v_.width; ++j) y_dot[j] = y_dot[j] * inverse - first * y[j];
      if (!visit.out.second) continue;
      T* y_second = visit.out.second_row(k, at.row) + here;
      for (Index j = 0; j < v_.width; ++j)
        y_second[j] = y_second[j] * inverse - T{2} * first * y_dot[j] - second * y[j];
    }
  }

  template <class T>
  void pull_block(const Pull<T>& visit, const Queries& at) const {
    T* p = visit.scratch;
    T* back = p + block();
    T *m = p + 2 * block(), *l = m + queries_, *factors = l + queries_;
    std::fill_n(m, queries_, -std::numeric_limits<T>::infinity());
    std::fill_n(l, queries_, T{0});
    const Operands<T> in = values(visit.in, at);
    const Index end = visible(at);
    for (Index key = 0; key < end; key += keys_) {
      const Index count = std::min(keys_, end - key);
      scores(at, in, key, count, p);
      exponentiate(at, count, p, m, l, factors);
    }
    const Index here = y_.at(at.head, at.first);
    const T* c = visit.cotangent + at.row * visit.out.size + here;
    const T* y = visit.out.value_row(at.row) + here;
    T* means = factors;  // ȳ · y
    for (Index i = 0; i < at.count; ++i) means[i] = dot(c + i * y_.stride, y + i * y_.stride, v_.width);
    const auto target = [&](std::size_t input, Index offset) -> T* {
      if (input >= visit.in.size() || !visit.in_cotangents[input]) return nullptr;
      return visit.in_cotangents[input].data + visit.in[input].row(at.row) + offset;
    };
    T* q_back = target(0, q_.at(at.head, at.first));
    T* k_back = target(1, k_.at(kv_head(at.head), 0));
    T* v_back = target(2, v_.at(kv_head(at.head), 0));
    T* mask_back = target(3, at.head * mask_head_ + at.first * mask_row_);
    for (Index key = 0; key < end; key += keys_) {
      const Index count = std::min(keys_, end - key);
      if (end > keys_) {  // of one block, e is there
        scores(at, in, key, count, p);
        for (Index i = 0; i < at.count; ++i) {
          if (l[i] == T{0}) std::fill_n(p + i * count, count, T{0});
          if (l[i] != T{0}) exp_shifted(p + i * count, count, -m[i]);
        }
      }
      for (Index i = 0; i < at.count; ++i) {
        const T inverse = l[i] == T{0} ? T{0} : T{1} / l[i];
        for (Index j = 0; j < count; ++j) p[i * count + j] *= inverse;
      }
      if (v_back) {
        matmul<T>(count, v_.width, at.count, T{1}, {p, count, true}, {c, y_.stride}, T{1}, v_back + key * v_.stride,
                  v_.stride);
      }
      if (!q_back && !k_back && !mask_back) continue;
      matmul<T>(at.count, count, v_.width, T{1}, {c, y_.stride}, {in.v + key * v_.stride, v_.stride, true}, T{0}, back,
                count);
      for (Index i = 0; i < at.count; ++i) {
        T* row = back + i * count;
        for (Index j = 0; j < count; ++j) row[j] = p[i * count + j] * (row[j] - means[i]);
        if (mask_back) axpy(T{1}, row, mask_back + i * mask_row_ + key, count);
      }
      const T scale = static_cast<T>(scale_);
      if (q_back) {
        matmul<T>(at.count, q_.width, count, scale, {back, count}, {in.k + key * k_.stride, k_.stride}, T{1}, q_back,
                  q_.stride);
      }
      if (k_back) {
        matmul<T>(count, k_.width, at.count, scale, {back, count, true}, {in.q, q_.stride}, T{1},
                  k_back + key * k_.stride, k_.stride);
      }
    }
  }

  bool heads_second_;
  Heads q_, k_, v_, y_;
  Shape out_;
  bool causal_;
  Index offset_;
  double scale_;
  Index queries_, keys_;                // of a block
  Index mask_head_ = 0, mask_row_ = 0;  // from one head or query to the next; 0 where they share it
};

void check(const Shape& q, const Shape& k, const Shape& v, const AttentionOptions& options) {
  const std::size_t heads = options.heads_second ? 1 : 0, length = 1 - heads;
  const auto extent = [](const Shape& shape, std::size_t axis) { return shape.extents()[axis]; };
  const bool ranks = q.rank() == 3 && k.rank() == 3 && v.rank() == 3;
  if (!ranks || q[2] != k[2] || extent(k, heads) != extent(v, heads) || extent(k, length) != extent(v, length) ||
      extent(k, heads) < 1 || extent(q, heads) % extent(k, heads) != 0) {
    const char* layout = options.heads_second ? "(T, heads, width)" : "(heads, T, width)";
    throw ShapeError(
        fmt::format("scaled_dot_product_attention: expected q, k and v {} with q and k of one width, k and v of one "
                    "length and of as "
                    "many heads, a divisor of q's, found {}, {} and {}",
                    layout, q.to_string(), k.to_string(), v.to_string()));
  }
  if (!options.mask) return;
  const Shape& mask = options.mask->shape();
  const auto fits = [](Index found, Index expected) { return found == expected || found == 1; };
  if ((mask.rank() != 2 && mask.rank() != 3) || mask[-1] != extent(k, length) || !fits(mask[-2], extent(q, length)) ||
      (mask.rank() == 3 && !fits(mask[0], extent(q, heads)))) {
    throw ShapeError(
        fmt::format("scaled_dot_product_attention: expected a mask ({} or 1, {} or 1, {}), or without the first axis, "
                    "found {}",
                    extent(q, heads), extent(q, length), extent(k, length), mask.to_string()));
  }
}

}  // namespace

Node scaled_dot_product_attention(const Node& q, const Node& k, const Node& v, const AttentionOptions& options) {
  check(q.shape(), k.shape(), v.shape(), options);
  std::vector<Node> inputs{q, k, v};
  if (options.mask) inputs.push_back(*options.mask);
  return Builder(q).apply(
      std::make_shared<Attention>(q.shape(), k.shape(), v.shape(), options,
                                  options.mask ? std::optional(options.mask->shape()) : std::nullopt),
      std::move(inputs));
}

std::vector<OpEntry> attention_examples() {
  std::vector<OpEntry> ops;
  // (heads, T, width), from x of as many entries.
  const auto as = [](const Node& x, Shape shape) { return reshape(x, std::move(shape)); };
  ops.push_back(
      {"scaled_dot_product_attention",
       {{"of itself", {2, 3, 2}, [](const Node& x) { return scaled_dot_product_attention(x, x, x); }},
        {"keys and values of each example",
         {3, 4},
         [=](const Node& x) {
           const Node k = as(square(x), {1, 3, 4}), v = as(tanh(x), {1, 3, 4});
           return scaled_dot_product_attention(as(x, {1, 3, 4}), k, v, {.scale = 0.3});
         }},
        {"causal, shared keys and values, another width",
         {2, 4, 3},
         [](const Node& x) {
           return scaled_dot_product_attention(x, shared(x, "k", {2, 4, 3}, 2), shared(x, "v", {2, 4, 2}, 2),
                                               {.causal = true});
         }},
        {"shared queries, values alone of each example",
         {1, 3, 2},
         [](const Node& x) {
           return scaled_dot_product_attention(shared(x, "q", {1, 2, 2}, 1), shared(x, "k", {1, 3, 2}, 1), x);
         }},
        {"two heads a key, causal with an offset",
         {4, 2, 2},
         [](const Node& x) {
           const Node keys = slice(square(x), 0, 0, 2);
           return scaled_dot_product_attention(x, keys, slice(x, 0, 2, 4), {.causal = true, .causal_offset = 1});
         }},
        {"a mask for each head, with tangents",
         {2, 3, 3},
         [](const Node& x) {
           return scaled_dot_product_attention(x, shared(x, "k", {2, 3, 3}, 2), x, {.mask = square(x)});
         }},
        {"a mask for all heads and queries, that is shared",
         {2, 3, 2},
         [](const Node& x) {
           return scaled_dot_product_attention(x, x, x, {.mask = shared(x, "mask", {1, 3}, 1)});
         }},
        {"a mask for all queries of each head",
         {2, 2, 2},
         [](const Node& x) {
           return scaled_dot_product_attention(x, x, x, {.mask = shared(x, "mask", {2, 1, 2}, 2)});
         }},
        {"queries that see no key",
         {1, 3, 2},
         [](const Node& x) {
           return scaled_dot_product_attention(x, square(x), x, {.causal = true, .causal_offset = -2});
         }},
        {"more queries and keys than a block",
         {2},
         [](const Node& x) {
           const Node k = shared(x, "k", {600, 2}, 600) * x, q = shared(x, "q", {140, 2}, 140) * x;
           return scaled_dot_product_attention(reshape(q, {1, 140, 2}), reshape(k, {1, 600, 2}),
                                               reshape(square(k), {1, 600, 2}), {.causal = true, .causal_offset = 450});
         }},
        {"heads second", {3, 4, 2}, [](const Node& x) {
           const Node kv = slice(x, 1, 0, 2);
           return scaled_dot_product_attention(x, kv, square(kv), {.causal = true, .heads_second = true});
         }}}});
  return ops;
}

}  // namespace slopewise
