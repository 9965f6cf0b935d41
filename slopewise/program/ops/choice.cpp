// Comparisons, logic and choices.
#include "slopewise/program/ops.hpp"
#include "slopewise/program/ops/broadcast.hpp"
#include "slopewise/program/ops/elementwise.hpp"
#include "slopewise/program/ops/examples.hpp"

namespace slopewise {
namespace {

// y = 1 where `Test` holds of a and b, else 0.
template <class Test>
class Predicate final : public OpRules<Predicate<Test>> {
 public:
  static constexpr std::string_view kName = Test::kName;
  Predicate(const Shape& a, const Shape& b) : broadcast_(kName, {a, b}) {}
  Shape shape(std::span<const InputInfo>) const override { return broadcast_.shape(); }
  OpCost cost(std::span<const InputInfo>, const Shape& out) const override {
    return {.value = static_cast<double>(out.size())};
  }
  Needs needs() const override { return {.inputs = false, .output = false}; }
  bool curves(std::span<const InputInfo>) const override { return false; }
  InputTraits takes(std::size_t) const override { return {.varies = false}; }

  template <class T>
  void pushforward(const Push<T>& visit) const {
    const Jet<T>& a = visit.in[0];
    const Jet<T>& b = visit.in[1];
    const Jet<T>& y = visit.out;
    const bool apart = y.rows == 1 || !(a.shared() || b.shared());
    broadcast_.with_steps([&](auto step_a, auto step_b) {
      broadcast_.each_run(y.rows, apart, [&](Index r, Index at, const auto& starts, Index length) {
        const T* p = a.value_row(r) + starts[0];
        const T* q = b.value_row(r) + starts[1];
        T* to = y.value_row(r) + at;
        for (Index i = 0; i < length; ++i) to[i] = Test::holds(p[i * step_a], q[i * step_b]) ? T{1} : T{0};
      });
    });
  }
  template <class T>
  void pullback(const Pull<T>&) const {}

 private:
  Broadcast<2> broadcast_;
};

struct Equal {
  static constexpr std::string_view kName = "equal";
  template <class T>
  static bool holds(T a, T b) {
    return a == b;
  }
};
struct Greater {
  static constexpr std::string_view kName = "greater";
  template <class T>
  static bool holds(T a, T b) {
    return a > b;
  }
};
struct GreaterEqual {
  static constexpr std::string_view kName = "greater_equal";
  template <class T>
  static bool holds(T a, T b) {
    return a >= b;
  }
};
struct And {
  static constexpr std::string_view kName = "logical_and";
  template <class T>
  static bool holds(T a, T b) {
    return (a != T{0}) & (b != T{0});
  }
};
struct Or {
  static constexpr std::string_view kName = "logical_or";
  template <class T>
  static bool holds(T a, T b) {
    return (a != T{0}) | (b != T{0});
  }
};
struct Xor {
  static constexpr std::string_view kName = "logical_xor";
  template <class T>
  static bool holds(T a, T b) {
    return (a != T{0}) != (b != T{0});
  }
};

struct Not {
  static constexpr std::string_view kName = "logical_not";
  static constexpr bool kFlat = true;
  template <class V>
  Local<V> local(V x) const {
    return {.value = x == V{0} ? V{1} : V{0}, .slope = V{0}, .curvature = V{0}};
  }
};

template <class Test>
Node predicate(const Node& a, const Node& b) {
  return Builder(a).apply(std::make_shared<Predicate<Test>>(a.shape(), b.shape()), {a, b});
}

// where: y = a if c else b.  Linear in a and b: so are its tangents.
class Where final : public OpRules<Where> {
 public:
  static constexpr std::string_view kName = "where";
  Where(const Shape& condition, const Shape& a, const Shape& b) : broadcast_(kName, {condition, a, b}) {}
  Shape shape(std::span<const InputInfo>) const override { return broadcast_.shape(); }
  OpCost cost(std::span<const InputInfo>, const Shape& out) const override {
    const auto entries = static_cast<double>(out.size());
    return {.value = entries, .tangent = entries, .pullback = entries};
  }
  bool curves(std::span<const InputInfo>) const override { return false; }
  OpTraits traits() const override { return {.keeps_zeros = true}; }
  InputTraits takes(std::size_t input) const override { return {.varies = input != 0}; }

  template <class T>
  void pushforward(const Push<T>& visit) const {
    const Jet<T>& a = visit.in[1];
    const Jet<T>& b = visit.in[2];
    const Jet<T>& y = visit.out;
    choose(visit, a.value, b.value, y.value);
    const auto part = [](T* data, Index k, const Jet<T>& jet) { return data ? data + k * jet.plane : nullptr; };
    for (Index k = 0; k < visit.tangents; ++k) {
      if (y.tangent) choose(visit, part(a.tangent, k, a), part(b.tangent, k, b), part(y.tangent, k, y));
      if (y.second) choose(visit, part(a.second, k, a), part(b.second, k, b), part(y.second, k, y));
    }
  }

  template <class T>
  void pullback(const Pull<T>& visit) const {
    for (const std::size_t input : {1, 2}) {
      const Cotangent<T>& target = visit.in_cotangents[input];
      if (!target) continue;
      const Jet<T>& condition = visit.in[0];
      const Jet<T>& own = visit.in[input];
      if (!target.accumulate) std::fill_n(target.data, own.rows * own.size, T{0});
      broadcast_.with_steps([&](auto... steps) {
        const std::array<Index, 3> step{steps...};
        broadcast_.each_run(visit.out.rows, apart(visit.in, visit.out),
                            [&](Index r, Index at, const auto& starts, Index length) {
                              const T* c = condition.value_row(r) + starts[0];
                              const T* from = visit.cotangent + visit.out.row(r) + at;
                              T* to = target.data + own.row(r) + starts[input];
                              for (Index i = 0; i < length; ++i) {
                                if ((c[i * step[0]] != T{0}) == (input == 1)) to[i * step[input]] += from[i];
                              }
                            });
      });
    }
  }

 private:
  template <class T>
  static bool apart(std::span<const Jet<T>> in, const Jet<T>& y) {
    return y.rows == 1 || std::none_of(in.begin(), in.end(), [](const Jet<T>& jet) { return jet.shared(); });
  }
  // y = a or b, where a missing one is zero.
  template <class T>
  void choose(const Push<T>& visit, const T* a, const T* b, T* y) const {
    const Jet<T>& condition = visit.in[0];
    broadcast_.with_steps([&](auto step_c, auto step_a, auto step_b) {
      broadcast_.each_run(visit.out.rows, apart(visit.in, visit.out),
                          [&](Index r, Index at, const auto& starts, Index length) {
                            const T* c = condition.value_row(r) + starts[0];
                            const T* p = a ? a + visit.in[1].row(r) + starts[1] : nullptr;
                            const T* q = b ? b + visit.in[2].row(r) + starts[2] : nullptr;
                            T* to = y + visit.out.row(r) + at;
                            const auto fill = [&](auto first, auto second) {
                              for (Index i = 0; i < length; ++i) to[i] = c[i * step_c] != T{0} ? first(i) : second(i);
                            };
                            const auto of_a = [=](Index i) { return p[i * step_a]; };
                            const auto of_b = [=](Index i) { return q[i * step_b]; };
                            const auto zero = [](Index) { return T{0}; };
                            if (p && q) fill(of_a, of_b);
                            if (p && !q) fill(of_a, zero);
                            if (!p && q) fill(zero, of_b);
                          });
    });
  }

  Broadcast<3> broadcast_;
};

}  // namespace

Node equal(const Node& a, const Node& b) {
  return predicate<Equal>(a, b);
}
Node greater(const Node& a, const Node& b) {
  return predicate<Greater>(a, b);
}
Node less(const Node& a, const Node& b) {
  return greater(b, a);
}
Node greater_equal(const Node& a, const Node& b) {
  return predicate<GreaterEqual>(a, b);
}
Node less_equal(const Node& a, const Node& b) {
  return greater_equal(b, a);
}
Node logical_and(const Node& a, const Node& b) {
  return predicate<And>(a, b);
}
Node logical_or(const Node& a, const Node& b) {
  return predicate<Or>(a, b);
}
Node logical_xor(const Node& a, const Node& b) {
  return predicate<Xor>(a, b);
}
Node logical_not(const Node& x) {
  return unary(x, Not{});
}
Node where(const Node& condition, const Node& a, const Node& b) {
  return Builder(a).apply(std::make_shared<Where>(condition.shape(), a.shape(), b.shape()), {condition, a, b});
}

std::vector<OpEntry> choice_examples() {
  const auto compared = [](std::string name, Node (*f)(const Node&, const Node&)) {
    const auto matrix = [](const Node& x) { return shared(x, "p", {2, 3}, 2); };
    return OpEntry{
        std::move(name),
        {{"alone", {2, 3}, [=](const Node& x) { return f(x, matrix(x)); }},
         {"times what varies", {2, 3}, [=](const Node& x) { return x * f(square(x), slice(x, 0, 0, 1)); }},
         {"with a parameter that has no other use", {2, 3}, [=](const Node& x) { return square(x) * f(matrix(x), x); }},
         {"repeated along a run", {2, 3}, [=](const Node& x) { return x * f(slice(x, 1, 1, 2), matrix(x)); }},
         {"shared", {2, 3}, [=](const Node& x) { return x * f(matrix(x), shared(x, "q", {3}, 3)); }},
         {"empty", {0}, [=](const Node& x) { return f(x, x); }}}};
  };
  std::vector<OpEntry> ops;
  ops.push_back(compared("equal", equal));
  ops.push_back(compared("greater", greater));
  ops.push_back(compared("greater_equal", greater_equal));
  ops.push_back(compared("logical_and", logical_and));
  ops.push_back(compared("logical_or", logical_or));
  ops.push_back(compared("logical_xor", logical_xor));
  ops.push_back({"logical_not", {{"alone", {3}, logical_not}, {"times what varies", {3}, [](const Node& x) {
                                                                 return x * logical_not(greater(x, square(x)));
                                                               }}}});
  ops.push_back(
      {"where",
       {{"same shape", {2, 3}, [](const Node& x) { return where(greater(x, square(x)), x, square(x)); }, 0.5, 2},
        {"shared mask",
         {2, 2, 3},
         [](const Node& x) {
           return where(shared(x, "m", {2, 3}, 2), square(x), x);
         }},
        {"a held number",
         {2, 3},
         [](const Node& x) { return where(greater(x, square(x)), x, Builder(x).input("n", {})); }},
        {"a shared number",
         {2, 3},
         [](const Node& x) { return where(greater(x, square(x)), square(shared(x, "n", {}, 1)), x); }},
        {"x three times", {3}, [](const Node& x) { return where(x, x, x); }},
        {"all three repeated", {3, 1}, [](const Node& x) { return where(x, shared(x, "a", {4}, 4), square(x)); }},
        {"along runs",
         {2, 3},
         [](const Node& x) { return where(slice(x, 1, 1, 2), slice(x, 1, 0, 1), square(slice(x, 0, 1, 2))); }},
        {"all shared",
         {2, 3},
         [](const Node& x) {
           return x * where(shared(x, "c", {3}, 3), shared(x, "a", {2, 1}, 2), square(shared(x, "b", {}, 1)));
         }},
        {"empty", {2, 0}, [](const Node& x) {
           return where(x, x, shared(x, "b", {2, 1}, 2));
         }}}});
  return ops;
}

}  // namespace slopewise
