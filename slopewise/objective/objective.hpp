// What an estimator sees: anything that gives a loss, and slopes along tangents, at θ.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "slopewise/program/given.hpp"
#include "slopewise/tensor/gradient.hpp"
#include "slopewise/tensor/parameters.hpp"
#include "slopewise/tensor/tangents.hpp"

namespace slopewise {

struct Slopes {
  double loss = 0;
  std::vector<double> slopes;           // K: ∇·v_k
  std::vector<double> curvatures = {};  // K: v_kᵀHv_k, where they were asked for
  // K: the mean over the batch of the squared slopes of its examples, and how many these are; empty and 0 where there
  // are no examples.
  std::vector<double> example_squares = {};
  Index examples = 0;
};

// Directions v_1 … v_K that θ is moved along where it lies, and back: differences of losses then need neither a copy of
// θ nor a tangent in memory.
template <class T>
struct Moves {
  Index count = 0;                                                          // K
  std::function<void(Parameters<T>& theta, Index k, double factor)> along;  // θ += factor v_k
  double epsilon = 1e-3;                                                    // ε > 0
  // Losses at θ + ε v_k and θ − ε v_k for each k; else at θ, and at θ + ε v_k for each k.
  bool both_sides = true;
  bool curvatures = false;  // with both sides: at θ first, so that differences give second-order terms as well

  Index points() const { return both_sides ? 2 * count + (curvatures ? 1 : 0) : count + 1; }
};

// Brings θ to each of those points in turn, calls `visit` there, and brings it back, also where `visit` throws. What
// moves there and back leaves of θ's entries is θ within rounding: each of the three moves of v_k errs by at most half
// a unit in the last place of what it makes. Throws ArgumentError unless ε > 0 and K ≥ 1.
template <class T>
void walk(const Moves<T>& moves, Parameters<T>& theta, const std::function<void()>& visit);

// Numbers that calls answer with: what ranks that share them send each other.
struct AnswerSize {
  Index calls = 0;     // each with a loss
  Index tangents = 0;  // that were asked along
  Index numbers = 0;   // found along them
  Index dense = 0;     // entries of gradients, and sums that go with them

  AnswerSize& operator+=(const AnswerSize& other) {
    calls += other.calls;
    tangents += other.tangents;
    numbers += other.numbers;
    dense += other.dense;
    return *this;
  }
};

// What calls need beside θ and the batch: memory, which is kept for the next ones, and multiply-adds, twice.
struct Demand {
  Index bytes = 0;    // of each call's own
  Index working = 0;  // bytes that calls one after the other share: as many as the largest needs
  Index packed = 0;   // bytes of weights in the layout of the products, which all calls at one θ share
  double flops = 0;
  AnswerSize answers = {};

  Index unpacked() const { return bytes + working; }
  Demand& operator+=(const Demand& other) {
    bytes += other.bytes;
    working = std::max(working, other.working);
    packed = std::max(packed, other.packed);
    flops += other.flops;
    answers += other.answers;
    return *this;
  }
};

// Sums over examples that a giver adds to, from 0 on: where a batch is shared out they are those of all of it once
// Objective::given has returned.
template <class T>
struct GivenSums {
  std::vector<std::span<double>> doubles;
  std::vector<std::span<T>> numbers;
};

template <class T>
class Objective {
 public:
  virtual ~Objective() = default;
  virtual const ParameterLayout& layout() const = 0;
  Index size() const { return layout().size; }

  // All throw ShapeError for a θ or tangents of another size and NumericError for a loss or slope that is NaN or
  // infinite.
  virtual double loss(const Parameters<T>& parameters) = 0;
  virtual Slopes slopes(const Parameters<T>& parameters, const Tangents<T>& tangents) = 0;
  // The same with second-order terms. Throws ArgumentError where there are none.
  virtual Slopes curvatures(const Parameters<T>& parameters, const Tangents<T>& tangents);
  // Slopes by differences of losses, (L(θ + ε v) − L(θ − ε v)) / 2ε or (L(θ + ε v) − L(θ)) / ε, from moves.points()
  // losses; θ is moved, and is back within rounding at the end (walk). The loss is that at θ or, where none is made
  // there, the mean of all of them, which is L(θ) + O(ε²). With moves.curvatures also vᵀHv as (L(θ + ε v) + L(θ − ε v)
  // − 2 L(θ)) / ε², which rounds as 4/ε² times a loss does.
  virtual Slopes differences(Parameters<T>& parameters, const Moves<T>& moves);
  // Writes the exact gradient to `out` (n) and returns the loss. Throws ArgumentError where there is none.
  virtual double gradient(const Parameters<T>& parameters, std::span<T> out) = 0;
  virtual bool has_gradient() const { return true; }
  // Loss, slopes and the gradient that follows from cotangents given at activities, as Runner::given has it
  // (runner.hpp). `sums`: what the giver adds to. Throws ArgumentError for what is no program.
  virtual RunResult<T> given(const GivenOptions& options, const Parameters<T>& parameters, const Tangents<T>* tangents,
                             const Perturbation<T>& perturbation, const Giver<T>& giver, std::span<T> out,
                             const GivenSums<T>& sums = {});
  // Of the batch; 0 for what is no program on examples.
  virtual Index examples() const { return 0; }
  // Values of nodes of the program at θ, of these of its examples: one (rows.size(), size) a node. Throws ArgumentError
  // for what is no program and for nodes that have no such values.
  virtual std::vector<std::vector<T>> values(const Parameters<T>& parameters, std::span<const Index> nodes,
                                             std::span<const Index> rows);
  // What another part of a model reads of this one, (B, size), in the last call; empty where there is none.
  virtual std::span<const T> output() const { return {}; }
  // Whether there is one to read; differences() then end with a loss at θ.
  virtual bool is_read() const { return false; }

  // What the calls of these names need beside the tangents they are given; nothing is known of functions that are no
  // programs. `forms`: of the tangents.
  virtual Demand loss_demand() const { return {}; }
  virtual Demand slopes_demand(std::span<const TangentForm> /*forms*/, Index /*tangents*/, int /*order*/ = 1) const {
    return {};
  }
  virtual Demand gradient_demand() const { return {}; }
  virtual Demand given_demand(const GivenOptions&) const { return {}; }
  virtual Demand values_demand(std::span<const Index> /*nodes*/, Index /*rows*/) const { return {}; }

  // Room for `size` entries of a gradient: that of the last call, so that steps take no memory and estimators of one
  // objective share it, unless somebody still holds it.
  std::shared_ptr<DenseGradient<T>> room(Index size);

 private:
  std::shared_ptr<DenseGradient<T>> room_;
};

// The slopes of Objective::differences from the losses at a walk's points, in their order.
template <class T>
Slopes slopes_of(const Moves<T>& moves, std::span<const double> losses);

// Slopes by central differences along tangents, at a copy of θ: 2 K losses. The loss returned is L(θ), one more. They
// err by ε²/6 D³L(v, v, v) where L is smooth, and more where it has kinks: each rectified unit of an example that
// changes its sign on the way, |z| < ε|ż|, adds up to half of its share of the slope.
template <class T>
Slopes central_differences(Objective<T>& objective, const Parameters<T>& parameters, const Tangents<T>& tangents,
                           double epsilon);

}  // namespace slopewise
