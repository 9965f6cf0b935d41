// Examples to learn from, wherever they lie: images or rows of a table, with a class or with numbers for each.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "slopewise/base/shape.hpp"
#include "slopewise/data/rows.hpp"

namespace slopewise {

// What a network reads in place of a stored number x.
struct Scaling {
  enum class Rule {
    kNone,     // x
    kBytes,    // x / 255
    kStandard  // (x − mean) / deviation of its column, or of its channel
  };
  Rule rule = Rule::kBytes;
  std::vector<double> mean = {}, deviation = {};  // for kStandard, one of each column or channel; no deviation is 0

  bool operator==(const Scaling&) const = default;
};

// What a model reads of an example beside its first input, as it is stored.
struct OtherInput {
  std::string name;
  Shape shape;            // of an example
  bool integers = false;  // indices, tokens, masks
  Rows rows = {};         // like Dataset::inputs, of the same examples
};

struct Dataset {
  std::string name;
  std::string input_name = "image";
  Shape image_shape;      // (height, width, channels), (columns) of a table, or any that a model takes
  int classes = 0;        // labels are in [0, classes); 0: the targets are numbers, or there are none
  Rows inputs = {};       // image_shape.size() stored numbers an example
  bool integers = false;  // they are indices, tokens: taken as they are
  std::vector<OtherInput> others = {};
  Shape label_shape = {};                     // the places of an example that have a label each; (): one an example
  std::vector<std::int32_t> labels = {};      // (count, places), where there are classes
  std::optional<std::int32_t> ignored = {};   // a label that stands for none
  std::vector<std::string> class_names = {};  // (classes), or none where nobody said
  Scaling scaling = {};
  bool channels_first = false;        // an image's numbers are stored as (channels, height, width)
  std::vector<Index> selection = {};  // the rows of `inputs` that the set has, in its order; empty: all
  // Of numbers to predict: how many an example, and (count, outputs) of them, less their mean and over their deviation
  // in the training set, both (outputs).
  Index outputs = 0;
  std::vector<float> targets = {};
  std::vector<double> target_mean = {}, target_deviation = {};
  std::vector<std::string> column_names = {};  // of a table, where its file says
  bool labelled = true;                        // false: labels or targets are all 0, for want of true ones

  Index count() const { return selection.empty() ? inputs.count() : std::ssize(selection); }
};

struct DataSplit {
  Dataset train, test;
  std::string format;                      // what it was read from: "IDX", "CIFAR-10", …
  std::vector<std::string> left_out = {};  // what its files hold beside the sets, in words: "the index in column 1"
};

// Copies the examples at `indices` into `out`, (indices.size(), height·width·channels), for float and double: as they
// are stored, channels last; then as a network reads them. Throws ArgumentError for an index out of range or an `out`
// of another size, FileError where a file can no longer be read.
template <class T>
void gather_stored(const Dataset& dataset, std::span<const std::int64_t> indices, std::span<T> out);
template <class T>
void gather_inputs(const Dataset& dataset, std::span<const std::int64_t> indices, std::span<T> out);

// The first input where it is integers, (indices.size(), image_shape.size()), and the other inputs, as what each is,
// with the same errors.
void gather_integers(const Dataset& dataset, std::span<const std::int64_t> indices, std::span<std::int32_t> out);
template <class T>
void gather_other(const Dataset& dataset, const OtherInput& input, std::span<const std::int64_t> indices,
                  std::span<T> out);

// Copies the labels at `indices`, (indices.size(), places), or the targets, (indices.size(), outputs), into `out`, with
// the same errors.
void gather_labels(const Dataset& dataset, std::span<const std::int64_t> indices, std::span<std::int32_t> out);
void gather_targets(const Dataset& dataset, std::span<const std::int64_t> indices, std::span<float> out);

}  // namespace slopewise
