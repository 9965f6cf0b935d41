#include "python/src/arrays.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <type_traits>

#include "slopewise/base/error.hpp"
#include "slopewise/base/nearest.hpp"

namespace slopewise {
namespace {

constexpr int kFlags = py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;

bool as_it_is(const py::array& array, const py::dtype& type) {
  return py::detail::npy_api::get().PyArray_EquivTypes_(array.dtype().ptr(), type.ptr()) &&
         py::detail::check_flags(array.ptr(), kFlags);
}

// The least and the largest entry, as Python's integers: a 64-bit one of either sign fits.
template <class T>
void require_fit(const py::array& array, std::string_view what) {
  if (array.size() == 0 || array.itemsize() < static_cast<py::ssize_t>(sizeof(T))) return;
  const auto low = py::int_(array.attr("min")()), high = py::int_(array.attr("max")());
  const py::int_ least(std::numeric_limits<T>::min()), most(std::numeric_limits<T>::max());
  if (low < least || high > most) {
    throw py::value_error(fmt::format("{}: expected integers from {} to {}, found {} to {}", what,
                                      std::numeric_limits<T>::min(), std::numeric_limits<T>::max(),
                                      py::repr(low).cast<std::string>(), py::repr(high).cast<std::string>()));
  }
}

}  // namespace

std::string shape_text(const py::array& array) {
  return fmt::format("({}{})", fmt::join(array.shape(), array.shape() + array.ndim(), ", "),
                     array.ndim() == 1 ? "," : "");
}

template <class T>
py::array_t<T> array_of(const py::handle& object, std::string_view what) {
  const py::dtype wanted = py::dtype::of<T>();
  const bool is_array = py::isinstance<py::array>(object);
  if (is_array && as_it_is(py::reinterpret_borrow<py::array>(object), wanted))
    return py::reinterpret_borrow<py::array_t<T>>(object);
  const py::array found = is_array ? py::reinterpret_borrow<py::array>(object)
                                   : py::array(py::module_::import("numpy").attr("asarray")(object));
  const char kind = found.dtype().kind();
  const bool integer = kind == 'i' || kind == 'u' || kind == 'b';
  if (!integer && (std::is_integral_v<T> || kind != 'f')) {
    throw py::type_error(fmt::format("{}: expected {}, found an array of {}", what,
                                     std::is_integral_v<T> ? "integers" : "numbers",
                                     std::string(py::str(found.dtype()))));
  }
  if constexpr (std::is_integral_v<T>) require_fit<T>(found, what);
  py::object made = py::reinterpret_steal<py::object>(
      py::detail::npy_api::get().PyArray_FromAny_(found.ptr(), py::dtype(wanted).release().ptr(), 0, 0,
                                                  kFlags | py::detail::npy_api::NPY_ARRAY_FORCECAST_, nullptr));
  if (!made) throw py::error_already_set();
  return py::reinterpret_borrow<py::array_t<T>>(made);
}
template py::array_t<float> array_of(const py::handle&, std::string_view);
template py::array_t<double> array_of(const py::handle&, std::string_view);
template py::array_t<std::int32_t> array_of(const py::handle&, std::string_view);

template <class T>
Examples<T>::Examples(const std::vector<InputSpec>& inputs, const py::object& batch, std::size_t optional) {
  std::vector<py::object> given(inputs.size());
  if (py::hasattr(batch, "keys")) {
    std::vector<std::string> names;
    for (const InputSpec& input : inputs) names.push_back(input.name);
    for (const py::handle key : batch.attr("keys")()) {
      const auto name = py::str(key).cast<std::string>();
      const auto found = std::ranges::find(names, name);
      if (found == names.end()) {
        throw py::value_error(fmt::format("batch: no input is called '{}'; expected {}{}", name, fmt::join(names, ", "),
                                          suggestion(name, names)));
      }
      given[found - names.begin()] = batch[key];
    }
  } else if (py::isinstance<py::tuple>(batch) || py::isinstance<py::list>(batch)) {
    const auto sequence = py::reinterpret_borrow<py::sequence>(batch);
    if (sequence.size() > inputs.size()) {
      throw py::value_error(
          fmt::format("batch: the model has {} inputs, found {} arrays", inputs.size(), sequence.size()));
    }
    for (std::size_t i = 0; i < sequence.size(); ++i) given[i] = sequence[i];
  } else if (!batch.is_none() && !inputs.empty()) {
    given[0] = batch;
  }
  batch_.rows = -1;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!given[i] && (i < optional || batch_.rows < 0))
      throw py::value_error(fmt::format("batch: expected input '{}', found none", inputs[i].name));
    add(inputs[i], given[i]);
  }
}

template <class T>
void Examples<T>::add(const InputSpec& input, const py::object& given) {
  const auto take = [&]<class U>(U) {
    py::array_t<U> array;
    if (given) {
      array = array_of<U>(given, "input '" + input.name + "'");
      const std::vector<Index> found(array.shape(), array.shape() + array.ndim());
      const std::vector<Index>& own = input.shape.extents();
      const bool fits = found.size() == own.size() + 1 && std::equal(own.begin(), own.end(), found.begin() + 1) &&
                        (batch_.rows < 0 || batch_.rows == found[0]);
      if (!fits) {
        std::string expected = batch_.rows < 0 ? "rows" : std::to_string(batch_.rows);
        for (const Index extent : own) expected += ", " + std::to_string(extent);
        throw py::value_error(fmt::format("input '{}': expected the shape ({}{}), found {}", input.name, expected,
                                          own.empty() ? "," : "", shape_text(array)));
      }
      if (found[0] == 0) throw py::value_error(fmt::format("input '{}': expected examples, found none", input.name));
      batch_.rows = found[0];
    } else {
      array = py::array_t<U>(batch_.rows * input.shape.size());
      std::fill_n(array.mutable_data(), array.size(), U{0});
    }
    batch_.inputs.emplace_back(span_of(array));
    held_.push_back(std::move(array));
  };
  if (input.integer) {
    take(std::int32_t{});
  } else {
    take(T{});
  }
}

template class Examples<float>;
template class Examples<double>;

}  // namespace slopewise
