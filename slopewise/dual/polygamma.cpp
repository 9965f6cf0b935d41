#include "slopewise/dual/polygamma.hpp"

#include <boost/math/special_functions/digamma.hpp>
#include <boost/math/special_functions/polygamma.hpp>
#include <cmath>
#include <limits>

namespace slopewise::detail {
namespace {

using namespace boost::math::policies;
// Errors are numbers here: they travel as the slopes of std::lgamma would.
using Quiet = policy<domain_error<ignore_error>, pole_error<ignore_error>, overflow_error<ignore_error>,
                     underflow_error<ignore_error>, evaluation_error<ignore_error>, rounding_error<ignore_error>>;

template <class T>
T of(int order, T a) {
  if (std::isnan(a) || (a <= 0 && a == std::floor(a))) return std::numeric_limits<T>::quiet_NaN();
  if (std::isinf(a)) return order == 0 ? a : T(0);
  return order == 0 ? boost::math::digamma(a, Quiet()) : boost::math::polygamma(order, a, Quiet());
}

}  // namespace

double polygamma(int order, double a) {
  return of(order, a);
}
float polygamma(int order, float a) {
  return static_cast<float>(of(order, static_cast<double>(a)));
}
long double polygamma(int order, long double a) {
  return of(order, a);
}

}  // namespace slopewise::detail
