// A program bound to a batch of examples.
#pragma once

#include <memory>

#include "slopewise/data/dataset.hpp"
#include "slopewise/objective/objective.hpp"
#include "slopewise/program/runner.hpp"

namespace slopewise {

struct ObjectiveOptions {
  Precision precision = Precision::kFloat32;
};

template <class T>
class ProgramObjective final : public Objective<T> {
 public:
  // The program and the numbers that `batch` points to must outlive the objective.
  ProgramObjective(const Program& program, Batch<T> batch, ObjectiveOptions options = {});

  const ParameterLayout& layout() const override { return program_.layout(); }
  double loss(const Parameters<T>& parameters) override;
  Slopes slopes(const Parameters<T>& parameters, const Tangents<T>& tangents) override;
  double gradient(const Parameters<T>& parameters, std::span<T> out) override;

  // Loss, slopes and second-order terms vᵀHv in one visit.
  RunResult<T> curvatures(const Parameters<T>& parameters, const Tangents<T>& tangents);

  // A step of gradient descent in place, θ −= rate ∇, as Runner::descend makes it; returns the loss before it.
  double descend(Parameters<T>& parameters, double rate);

  // Other examples for the same program.
  void bind(Batch<T> batch);
  const Program& program() const { return program_; }

 private:
  // The runner for a workload, made at its first use and again when a larger batch comes.
  Runner<T>& runner(const Workload& workload);

  const Program& program_;
  Batch<T> batch_;
  ObjectiveOptions options_;
  std::vector<std::unique_ptr<Runner<T>>> runners_;
};

// Labelled images as a batch that owns its numbers.
template <class T>
class ImageBatch {
 public:
  ImageBatch(const Dataset& dataset, std::span<const Index> indices);

  // Valid as long as this object.
  Batch<T> batch() const;
  std::span<const T> images() const { return images_; }
  std::span<const std::int32_t> labels() const { return labels_; }

 private:
  std::vector<T> images_;  // (rows, height, width, channels) in [0, 1]
  std::vector<std::int32_t> labels_;
};

}  // namespace slopewise
