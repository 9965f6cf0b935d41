// Labelled images from files, whatever their format.
#pragma once

#include <filesystem>

#include "slopewise/data/dataset.hpp"

namespace slopewise {

// Reads the data set at `path`, which is
// - a directory that holds the files of one format:
//   IDX        MNIST's {train,t10k}-{images-idx3,labels-idx1}-ubyte, also spelt with .idx, plain or .gz
//   CIFAR-10   data_batch_1.bin … data_batch_5.bin and test_batch.bin, with or without batches.meta.txt
//   NumPy      {train,test}_{images,labels}.npy, or x_train.npy, y_train.npy, x_test.npy, y_test.npy
//   CSV        train.csv and test.csv
// - or an .npz file that holds the four arrays under these names.
// docs/data.md says what each must hold. Both sets are named after the directory or file. `classes` is 10 for CIFAR-10,
// else the largest label of either set plus one. Memory is bounded by the sizes of the files and, where they are
// compressed, by what arrives. Throws FileError if nothing or several of these are there, or if a file is missing,
// cannot be read or does not hold what it should.
DataSplit load_dataset(const std::filesystem::path& path);

}  // namespace slopewise
