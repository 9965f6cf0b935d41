// NumPy arrays as the library reads them, and back.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "slopewise/program/given.hpp"
#include "slopewise/tensor/layout.hpp"

namespace slopewise {

namespace py = pybind11;

// An input of a model: what it is called, one example's shape, and whether it takes integers.
struct InputSpec {
  std::string name;
  Shape shape;
  bool integer = false;
};

// The object as an array of Ts, row-major and aligned: itself where it is that already, else a copy; `what` names it in
// messages. Numbers may come as any NumPy array or what NumPy makes one of (sequences, PyTorch's tensors); integers
// only from integers and Booleans. Throws TypeError for what holds no numbers, ValueError for integers that do not fit.
template <class T>
py::array_t<T> array_of(const py::handle& object, std::string_view what);

template <class T>
std::span<const T> span_of(const py::array_t<T>& array) {
  return {array.data(), static_cast<std::size_t>(array.size())};
}
template <class T>
py::array_t<T> array_from(std::span<const T> values) {
  return py::array_t<T>(static_cast<py::ssize_t>(values.size()), values.data());
}
// "(64, 784)".
std::string shape_text(const py::array& array);

// A batch from Python, which holds on to the arrays that it points to.
template <class T>
class Examples {
 public:
  // `batch`: a mapping from names to arrays, a tuple or list of arrays in the order of the inputs, or the array of a
  // single input; each (rows, *shape). `optional`: inputs from this one on may be left out and are 0 then. Throws
  // ValueError for shapes and names that do not fit, TypeError as array_of does.
  Examples(const std::vector<InputSpec>& inputs, const py::object& batch, std::size_t optional);
  const Batch<T>& batch() const { return batch_; }

 private:
  void add(const InputSpec& input, const py::object& given);

  std::vector<py::array> held_;
  Batch<T> batch_;
};

}  // namespace slopewise
