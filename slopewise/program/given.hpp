// What goes into a run of a program and what comes out of it; with cotangents given at some of its nodes among it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <variant>
#include <vector>

#include "slopewise/program/precision.hpp"
#include "slopewise/tensor/tangents.hpp"

namespace slopewise {

// The examples of one run: for each input of the program, in order, its rows one after another.
template <class T>
struct Batch {
  using Input = std::variant<std::span<const T>, std::span<const std::int32_t>>;
  Index rows = 0;
  std::vector<Input> inputs;
};

// Tangents that enter at nodes. Writes the K tangents (K, size) of one example at the i-th perturbed node of the
// workload, whose value for the example is `value`; called from several threads, so it must be a pure function of its
// arguments.
template <class T>
using Perturbation = std::function<void(std::size_t i, Index example, std::span<const T> value, std::span<T> out)>;

// What is asked of a pass with given cotangents: loss, K slopes, and the gradient that follows. Fields as Workload's
// (program.hpp).
struct GivenOptions {
  Index tangents = 0;
  std::vector<TangentForm> forms = {};  // empty: none
  std::vector<Index> perturbed = {};
  std::vector<Index> cuts = {};
  Index error = -1;
  Index ahead = -1;
  Index gradient_first = 0;
  bool spare = false;
  bool few_rows = false;
  bool once = false;  // the memory is given back after the run
  std::vector<Index> outputs = {};
  Precision precision = Precision::kFloat32;
  bool operator==(const GivenOptions&) const = default;
};

// What one who gives cotangents sees and fills, for examples [first, first + rows) of the batch. A cotangent is the
// derivative of the batch's mean loss, so that of one example carries the factor 1/B.
template <class T>
struct GivenView {
  struct Cut {
    std::span<const T> value;  // (rows, size) of the node
    std::span<T> cotangent;    // (rows, size), to be filled; empty where nothing before the node needs it
    std::span<T> spare;        // (rows, size) to calculate in; empty unless Workload::spare
  };
  Index first = 0;
  Index rows = 0;
  Index batch = 0;                         // B
  std::vector<Cut> cuts;                   // in the order of Workload::cuts
  std::span<T> error;                      // (rows, size): the cotangent of Workload::error, which may be changed
  std::vector<std::span<const T>> slopes;  // K of (rows): the examples' slopes
};
// Fills the cotangents of a view; called once for each thousand examples or so, in their order, on the calling thread.
template <class T>
using Giver = std::function<void(const GivenView<T>&)>;

template <class T>
struct RunResult {
  double loss = 0;                    // mean over the examples
  std::vector<double> slopes;         // K: d loss / dε along each tangent
  std::vector<double> curvatures;     // K: vᵀHv, empty unless the order is 2
  std::span<const T> losses;          // (B): per example; valid until the next run
  std::span<const T> example_slopes;  // (K, B), likewise
};

}  // namespace slopewise
