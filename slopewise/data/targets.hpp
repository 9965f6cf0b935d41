// Labels and numbers to learn, from what files say of each example.
#pragma once

#include "slopewise/data/formats.hpp"

namespace slopewise::detail {

// One set and what its files say of it.
struct SetTargets {
  Dataset* set;
  const RawTargets* raw;  // null: nothing
  Index count;            // examples of the set
};

// Gives the sets `classes`, `class_names` and `labels`, or `outputs`, and `labelled`. Words are classes, sorted;
// numbers with fractions are numbers to predict; whole ones are classes if few differ. Throws FileError for labels that
// are none, ArgumentError where it is not evident which.
void set_targets(std::span<const SetTargets> sets, int classes, const std::vector<std::string>& class_names,
                 const LoadOptions& options);

// Fills `targets` of a set with `outputs`, of the rows it selects: the file's numbers less `mean` and over `deviation`.
void fill_targets(const SetTargets& one, const std::vector<double>& mean, const std::vector<double>& deviation);

// Mean and deviation, or 1 where that is 0, of each of a set's numbers to predict.
struct TargetMoments {
  std::vector<double> mean, deviation;
};
TargetMoments target_moments(const SetTargets& one);

}  // namespace slopewise::detail
