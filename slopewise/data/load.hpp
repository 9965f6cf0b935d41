// Data sets from files, whatever their format.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "slopewise/data/dataset.hpp"

namespace slopewise {

// What an example's numbers are, where their array's shape leaves it open.
enum class Layout { kChannelsLast, kChannelsFirst, kTable };
// What is learned.
enum class TargetKind { kClass, kNumber };

// What a data set's files may leave open.
struct LoadOptions {
  double test_share = 0;   // of a set that has no test examples of its own: the share of it that becomes them
  std::uint64_t seed = 1;  // of that choice
  std::string label;       // the column of a table that is learned: its name, or its number from 1; empty: by its name
  std::optional<Layout> layout;
  std::optional<TargetKind> target;
  std::optional<Scaling::Rule> scale;
  UnpackLimit unpack;
  // A set of no examples that says what a model reads and answers: names and shapes of its inputs, classes or numbers.
  // The files must hold those; without one, they decide.
  const Dataset* like = nullptr;
  // Whether its scaling, columns and names of classes are taken too, as the model was trained by Slopewise. Else inputs
  // stay as they are stored, but for pixels, which are divided by 255, unless `scale` says more; so do targets.
  bool trained = true;
  bool judged = false;        // nothing is trained: where the files have no test set, all that is there is one
  bool labels_needed = true;  // false: a set without labels will do
};

// Reads the data set at `path`, which is
// - a directory that holds the files of one format:
//   IDX        MNIST's {train,t10k}-{images-idx3,labels-idx1}-ubyte, also spelt with .idx, plain or .gz
//   CIFAR-10   data_batch_1.bin … data_batch_5.bin and test_batch.bin, with or without batches.meta.txt
//   NumPy      arrays NAME.npy: x_train, y_train, x_test, y_test; train_images, …; or X and y, data and target, …
//   CSV        train.csv and test.csv, plain or .gz
//   images     a folder of PNG, JPEG or PPM files for each class, in train and test or in the directory itself
// - or a file: .npz and .safetensors with arrays of those names, or a CSV, told by their content.
// Where no set is called test, one called val, valid or validation is the test set. Pictures in the directory itself
// are a set without labels. docs/data.md says what each must hold and what stays in its file until a batch needs it.
// Both sets are named after the directory or file. Memory is bounded by the sizes of the files and, where they are
// compressed, by `unpack`. Throws FileError if nothing or several of these are there, or if a file is missing, cannot
// be read or does not hold what it should, ArgumentError where it can be read in more than one way, naming the option
// that settles it.
DataSplit load_dataset(const std::filesystem::path& path, const LoadOptions& options = {});

// An array in a file: of an .npz or .safetensors file the one of this name, which may be empty where it holds one
// alone, as an .npy file does.
struct ArrayPlace {
  std::filesystem::path file;
  std::string array;
};
// Reads one set from arrays by the names of the model's inputs, with "label" or "target" for what is learned.
// `options.like` must say what the model reads. Throws as load_dataset does.
DataSplit load_arrays(const std::map<std::string, ArrayPlace>& places, const LoadOptions& options);

}  // namespace slopewise
