#include "slopewise/tensor/exponential.hpp"

#include <algorithm>
#include <limits>

// Compiled once for each instruction set from AVX2 up; see random.cpp.
#define HWY_DISABLE_PCLMUL_AES
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "slopewise/tensor/exponential.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// After highway.h, which it builds on.
#include <hwy/contrib/math/math-inl.h>

HWY_BEFORE_NAMESPACE();
namespace slopewise {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class T>
T exp_all(T* x, Index n, T shift) {
  const hn::ScalableTag<T> tag;
  constexpr Index kLanes = hn::MaxLanes(tag);
  const auto moved_by = hn::Set(tag, shift);
  auto sum = hn::Zero(tag);
  const auto vector = [&](T* at) HWY_ATTR {
    const auto moved = hn::Add(hn::LoadU(tag, at), moved_by);
    // The library takes a NaN for less than any number.
    const auto power = hn::IfThenElse(hn::Eq(moved, moved), hn::Exp(tag, moved), moved);
    hn::StoreU(power, tag, at);
    sum = hn::Add(sum, power);
  };
  Index i = 0;
  for (; i + kLanes <= n; i += kLanes) vector(x + i);
  if (i < n) {
    HWY_ALIGN T rest[kLanes];
    std::fill_n(rest, kLanes, -std::numeric_limits<T>::infinity());
    std::copy(x + i, x + n, rest);
    vector(rest);
    std::copy_n(rest, n - i, x + i);
  }
  return hn::GetLane(hn::SumOfLanes(tag, sum));
}

float exp_floats(float* x, Index n, float shift) {
  return exp_all(x, n, shift);
}
double exp_doubles(double* x, Index n, double shift) {
  return exp_all(x, n, shift);
}

}  // namespace HWY_NAMESPACE
}  // namespace slopewise
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace slopewise {
namespace {

HWY_EXPORT(exp_floats);
HWY_EXPORT(exp_doubles);

}  // namespace

float exp_shifted(float* x, Index n, float shift) {
  return HWY_DYNAMIC_DISPATCH(exp_floats)(x, n, shift);
}
double exp_shifted(double* x, Index n, double shift) {
  return HWY_DYNAMIC_DISPATCH(exp_doubles)(x, n, shift);
}

}  // namespace slopewise
#endif  // HWY_ONCE
