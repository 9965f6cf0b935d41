#include "slopewise/program/constant.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "slopewise/base/error.hpp"

namespace slopewise {

Constant::Constant(Shape shape, Values values) : shape_(std::move(shape)), values_(std::move(values)) {
  std::visit(
      [&](const auto& held) {
        if (static_cast<Index>(held.size()) != shape_.size()) {
          throw ShapeError(fmt::format("constant: shape {} has {} entries, found {}", shape_.to_string(), shape_.size(),
                                       held.size()));
        }
        infinite_ = std::any_of(held.begin(), held.end(), [](auto value) { return std::isinf(value); });
      },
      values_);
}

template <class T>
const std::vector<T>& Constant::values() const {
  if (const auto* held = std::get_if<std::vector<T>>(&values_)) return *held;
  const std::lock_guard lock(making_);
  if (!converted_) {
    converted_ = std::make_unique<const Values>(
        std::visit([](const auto& held) { return std::vector<T>(held.begin(), held.end()); }, values_));
  }
  return std::get<std::vector<T>>(*converted_);
}

const WeightProduct& Constant::packed(Index rows, Index columns, bool bfloat16) const {
  const std::vector<float>& flat = values<float>();
  const std::lock_guard lock(making_);
  if (!packed_) {
    packed_ = WeightProduct::make(rows, columns);
    packed_->pack(flat.data());
  }
  if (bfloat16 && !packed_->keeps_bfloat16()) packed_->keep_bfloat16();
  return *packed_;
}

template const std::vector<float>& Constant::values<float>() const;
template const std::vector<double>& Constant::values<double>() const;

}  // namespace slopewise
