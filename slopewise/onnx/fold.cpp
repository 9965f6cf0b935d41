// What can be known of a graph before a run: shapes, and what is calculated with them.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "slopewise/onnx/moves.hpp"
#include "slopewise/onnx/rules.hpp"

namespace slopewise {
namespace {

// Numbers that anybody calculates a shape with; what is larger is no shape.
constexpr Index kLargest = Index{1} << 24;

bool whole(OnnxType type) {
  return type == OnnxType::kInteger || type == OnnxType::kBoolean;
}

// A number, perhaps that many times the batch.
struct Number {
  double value = 0;
  bool batch = false;
};

double quotient(double a, double b, bool integers) {
  if (!integers) return a / b;
  return b == 0 ? 0 : std::trunc(a / b);
}

using Binary = std::function<Number(const ImportStep&, Number, Number, bool integers)>;

Number unknown(const ImportStep& step) {
  step.refuse("it calculates something of the number of examples that is no multiple of it");
}

// The batch is a number of examples that nobody knows yet: at least one, and otherwise like any other.
bool same(Number a, Number b) {
  return a.batch == b.batch && a.value == b.value;
}
template <class F>
Binary comparison(F compare) {
  return [compare](const ImportStep& step, Number a, Number b, bool) -> Number {
    if (a.batch == b.batch) return {compare(a.value, b.value) ? 1.0 : 0.0};
    // Beside a number of at most 0 the batch is greater; it is taken to be greater than 1 as well.
    const double other = a.batch ? b.value : a.value, times = a.batch ? a.value : b.value;
    if (other > 1 || times <= 0) return unknown(step);
    return {compare(a.batch ? 2.0 : other, a.batch ? other : 2.0) ? 1.0 : 0.0};
  };
}
template <class F>
Binary plain(F function) {
  return [function](const ImportStep& step, Number a, Number b, bool) -> Number {
    if (a.batch || b.batch) return same(a, b) ? a : unknown(step);
    return {function(a.value, b.value)};
  };
}

const std::map<std::string_view, Binary>& binary_operators() {
  static const std::map<std::string_view, Binary> operators{
      {"Add",
       [](const ImportStep& step, Number a, Number b, bool) -> Number {
         if (a.batch == b.batch) return {a.value + b.value, a.batch};
         if (a.value == 0) return b;
         return b.value == 0 ? a : unknown(step);
       }},
      {"Sub",
       [](const ImportStep& step, Number a, Number b, bool) -> Number {
         if (a.batch == b.batch) return {a.value - b.value, a.batch && a.value != b.value};
         return b.value == 0 ? a : unknown(step);
       }},
      {"Mul",
       [](const ImportStep& step, Number a, Number b, bool) -> Number {
         if (a.batch && b.batch) return unknown(step);
         return {a.value * b.value, (a.batch || b.batch) && a.value * b.value != 0};
       }},
      {"Div",
       [](const ImportStep& step, Number a, Number b, bool integers) -> Number {
         if (b.batch && !a.batch) return unknown(step);
         if (a.batch && !b.batch && integers && std::fmod(a.value, b.value) != 0) return unknown(step);
         return {quotient(a.value, b.value, integers), a.batch && !b.batch};
       }},
      {"Pow", plain([](double a, double b) { return std::pow(a, b); })},
      {"Max", plain([](double a, double b) { return std::max(a, b); })},
      {"Min", plain([](double a, double b) { return std::min(a, b); })},
      {"And", plain([](double a, double b) { return a != 0 && b != 0 ? 1.0 : 0.0; })},
      {"Or", plain([](double a, double b) { return a != 0 || b != 0 ? 1.0 : 0.0; })},
      {"Xor", plain([](double a, double b) { return (a != 0) != (b != 0) ? 1.0 : 0.0; })},
      {"Equal", comparison([](double a, double b) { return a == b; })},
      {"Less", comparison([](double a, double b) { return a < b; })},
      {"LessOrEqual", comparison([](double a, double b) { return a <= b; })},
      {"Greater", comparison([](double a, double b) { return a > b; })},
      {"GreaterOrEqual", comparison([](double a, double b) { return a >= b; })}};
  return operators;
}

using Unary = double (*)(double);
const std::map<std::string_view, Unary>& unary_operators() {
  static const std::map<std::string_view, Unary> operators{
      {"Abs", [](double x) { return std::fabs(x); }},
      {"Ceil", [](double x) { return std::ceil(x); }},
      {"Exp", [](double x) { return std::exp(x); }},
      {"Floor", [](double x) { return std::floor(x); }},
      {"Log", [](double x) { return std::log(x); }},
      {"Neg", [](double x) { return -x; }},
      {"Not", [](double x) { return x == 0 ? 1.0 : 0.0; }},
      {"Reciprocal", [](double x) { return 1 / x; }},
      {"Round", [](double x) { return std::nearbyint(x); }},
      {"Sign", [](double x) { return x > 0   ? 1.0
                                     : x < 0 ? -1.0
                                             : 0.0; }},
      {"Sqrt", [](double x) { return std::sqrt(x); }}};
  return operators;
}

Number at(const Known& known, Index i) {
  const auto entry = static_cast<std::size_t>(i);
  return {known.numbers[entry], known.counts_batch(entry)};
}
void push(Known& known, Number number) {
  known.numbers.push_back(number.value);
  known.batch.push_back(number.batch);
}

// The extents that values stretch to together, and the entry of each that entry `position` reads.
Extents stretched(const ImportStep& step, const std::vector<Known>& values) {
  Extents dims;
  for (const Known& value : values) {
    if (value.dims.size() > dims.size()) dims.insert(dims.begin(), value.dims.size() - dims.size(), Extent{1});
    const std::size_t more = dims.size() - value.dims.size();
    for (std::size_t i = 0; i < value.dims.size(); ++i) {
      if (dims[more + i].unit()) dims[more + i] = value.dims[i];
      if (!value.dims[i].unit() && value.dims[i] != dims[more + i])
        step.refuse("known numbers of shapes that do not go together");
    }
  }
  return dims;
}
template <class F>
Known combine(const ImportStep& step, const std::vector<Known>& values, OnnxType type, F function) {
  const Extents dims = stretched(step, values);
  Known result{type, dims, {}, {}};
  std::vector<Number> entries(values.size());
  make_move(dims, [&](const std::vector<Index>& position) -> Index {
    for (std::size_t v = 0; v < values.size(); ++v) {
      const std::size_t more = dims.size() - values[v].dims.size();
      Index number = 0;
      for (std::size_t i = 0; i < values[v].dims.size(); ++i) {
        const Index count = values[v].dims[i].count;
        number = number * count + (count == 1 ? 0 : position[more + i]);
      }
      entries[v] = at(values[v], number);
    }
    push(result, function(entries));
    return 0;
  });
  return result;
}

Known reduced(const ImportStep& step, const Known& x, std::string_view op) {
  const auto axes = step.axes(1, x.dims.size());
  const bool keep = step.integer("keepdims", 1) != 0;
  Extents dims, kept;
  std::vector<bool> goes(x.dims.size());
  const bool all = !axes || axes->empty();
  if (all && step.integer("noop_with_empty_axes", 0) != 0) return x;
  for (std::size_t i = 0; i < x.dims.size(); ++i) {
    goes[i] = all || std::find(axes->begin(), axes->end(), static_cast<Index>(i)) != axes->end();
    if (goes[i]) step.require_one_example(x.dims, static_cast<Index>(i));
    kept.push_back(goes[i] ? Extent{1} : x.dims[i]);
    if (!goes[i] || keep) dims.push_back(kept.back());
  }
  const auto multiply = binary_operators().at("Mul"), sum = binary_operators().at("Add"),
             most = binary_operators().at("Max"), least = binary_operators().at("Min");
  if (count_of(kept) > kLargest) step.refuse("more numbers than are calculated beforehand");
  std::vector<std::optional<Number>> totals(static_cast<std::size_t>(count_of(kept)));
  make_move(x.dims, [&](std::vector<Index> position) -> Index {
    const Number number = at(x, flat(x.dims, position));
    for (std::size_t i = 0; i < position.size(); ++i) {
      if (goes[i]) position[i] = 0;
    }
    std::optional<Number>& total = totals[flat(kept, position)];
    if (!total) {
      total = number;
    } else {
      const Binary& by = op == "ReduceProd" ? multiply : op == "ReduceSum" ? sum : op == "ReduceMax" ? most : least;
      total = by(step, *total, number, true);
    }
    return 0;
  });
  Known result{x.type, dims, {}, {}};
  for (const auto& total : totals) push(result, total.value_or(Number{op == "ReduceProd" ? 1.0 : 0.0}));
  return result;
}

Known range(const ImportStep& step, const std::vector<Known>& in) {
  for (const Known& known : in) {
    if (known.numbers.size() != 1 || known.counts_batch(0))
      step.refuse("a range that depends on the number of examples");
  }
  const double start = in[0].numbers[0], limit = in[1].numbers[0], delta = in[2].numbers[0];
  const double count = delta == 0 ? -1 : std::max(std::ceil((limit - start) / delta), 0.0);
  if (!(count >= 0 && count <= static_cast<double>(kLargest)))
    step.refuse(fmt::format("a range from {} to {} by {}", start, limit, delta));
  Known result{in[0].type, {{static_cast<Index>(count)}}, {}, {}};
  for (Index i = 0; i < static_cast<Index>(count); ++i)
    result.numbers.push_back(start + static_cast<double>(i) * delta);
  return result;
}

// Where the numbers are that are not zero, (axes, how many).
Known places(const ImportStep& step, const Known& x) {
  if (batch_axis(x.dims) >= 0) step.refuse("places among numbers that depend on how many examples there are");
  std::vector<Index> found;  // row-major
  for (std::size_t i = 0; i < x.numbers.size(); ++i) {
    if (x.numbers[i] != 0) found.push_back(static_cast<Index>(i));
  }
  const auto axes = static_cast<Index>(x.dims.size()), count = static_cast<Index>(found.size());
  if (axes > 0 && count > kLargest / axes)
    step.refuse(fmt::format("{} places of {} axes, more numbers than are made beforehand", count, axes));
  Known result{OnnxType::kInteger, {{axes}, {count}}, {}, {}};
  Index inner = count_of(x.dims);  // entries of the axes from here on
  for (const Extent& extent : x.dims) {
    if (extent.count > 0) inner /= extent.count;
    for (const Index i : found) result.numbers.push_back(static_cast<double>(i / inner % extent.count));
  }
  return result;
}

Known constant_of_shape(const ImportStep& step, const Known& shape) {
  Known result{.type = OnnxType::kFloat};
  double value = 0;
  const auto given = step.node().attributes.find("value");
  if (given != step.node().attributes.end()) {
    const auto* tensor = std::get_if<std::shared_ptr<const OnnxTensor>>(&given->second);
    if (!tensor || (*tensor)->size() != 1) step.refuse("attribute value: expected one number");
    value = (*tensor)->as<double>()[0];
    result.type = (*tensor)->type;
  }
  double count = 1;
  for (std::size_t i = 0; i < shape.numbers.size(); ++i) {
    if (!(shape.numbers[i] >= 0 && shape.numbers[i] <= static_cast<double>(kLargest)))
      step.refuse(fmt::format("an extent of {}", shape.numbers[i]));
    result.dims.push_back({static_cast<Index>(shape.numbers[i]), shape.counts_batch(i)});
    count *= shape.numbers[i];
  }
  if (!(count >= 0 && count <= static_cast<double>(kLargest)))
    step.refuse(fmt::format("{} numbers, more than the {} that are made beforehand", count, kLargest));
  result.numbers.assign(static_cast<std::size_t>(count), value);
  return result;
}

Known cast(const ImportStep& step, Known known) {
  const Index to = step.integer("to", 1);
  constexpr Index kFloat = 1, kString = 8, kBoolean = 9, kHalf = 10, kDouble = 11, kBfloat16 = 16;
  if (to == kString) step.refuse("a cast to text");
  const bool floating = to == kFloat || to == kHalf || to == kDouble || to == kBfloat16;
  known.type = floating ? OnnxType::kFloat : to == kBoolean ? OnnxType::kBoolean : OnnxType::kInteger;
  for (double& number : known.numbers) {
    if (to == kBoolean) number = number != 0 ? 1 : 0;
    if (!floating) number = std::trunc(number);
    if (to == kFloat) number = static_cast<double>(static_cast<float>(number));
  }
  return known;
}

}  // namespace

std::optional<Known> fold(const ImportStep& step) {
  const OnnxNode& node = step.node();
  if (node.domain == "slopewise") return std::nullopt;
  if (node.op == "Shape") {
    const Extents dims = step.dims(0);
    const auto rank = static_cast<Index>(dims.size());
    Index start = step.integer("start", 0), end = step.integer("end", rank);
    start = std::clamp<Index>(start < 0 ? start + rank : start, 0, rank);
    end = std::clamp<Index>(end < 0 ? end + rank : end, start, rank);
    return Known::of({dims.begin() + start, dims.begin() + end});
  }
  if (node.op == "Size") {
    const Extents dims = step.dims(0);
    Known result{.dims = {}};
    push(result, {static_cast<double>(count_of(dims)), batch_axis(dims) >= 0});
    return result;
  }
  std::vector<Known> in;
  for (std::size_t i = 0; i < step.inputs(); ++i) {
    if (!step.has(i) || !step.is_known(i)) return std::nullopt;
    in.push_back(step.known(i));
  }
  if (in.empty()) return std::nullopt;
  if (const auto found = unary_operators().find(node.op); found != unary_operators().end()) {
    return combine(step, {in[0]}, in[0].type, [&](const std::vector<Number>& x) -> Number {
      if (x[0].batch) return unknown(step);
      return {found->second(x[0].value)};
    });
  }
  if (const auto found = binary_operators().find(node.op); found != binary_operators().end()) {
    const bool compares = node.op == "Equal" || node.op.starts_with("Less") || node.op.starts_with("Greater");
    Known result = in[0];
    const OnnxType type = compares ? OnnxType::kBoolean : in[0].type;
    for (std::size_t i = 1; i < in.size(); ++i) {
      result = combine(step, {result, in[i]}, type, [&](const std::vector<Number>& x) {
        return found->second(step, x[0], x[1], whole(in[0].type));
      });
    }
    return result;
  }
  if (node.op == "Mod" && in.size() == 2) {
    const bool cuts = step.integer("fmod", 0) != 0;
    return combine(step, in, in[0].type, [&](const std::vector<Number>& x) -> Number {
      if (x[0].batch || x[1].batch) return unknown(step);
      const double a = x[0].value, b = x[1].value;
      return {b == 0 ? 0 : cuts ? std::fmod(a, b) : a - b * std::floor(a / b)};
    });
  }
  if (node.op == "Where" && in.size() == 3) {
    return combine(step, in, in[1].type, [&](const std::vector<Number>& x) { return x[0].value != 0 ? x[1] : x[2]; });
  }
  if (node.op == "NonZero") return places(step, in[0]);
  if (node.op == "Range" && in.size() == 3) return range(step, in);
  if (node.op == "ConstantOfShape") return constant_of_shape(step, in[0]);
  if (node.op == "Cast") return cast(step, in[0]);
  if (node.op == "ReduceProd" || node.op == "ReduceSum" || node.op == "ReduceMax" || node.op == "ReduceMin")
    return reduced(step, in[0], node.op);
  return std::nullopt;
}

}  // namespace slopewise
