// Handwritten-looking digits that the program draws itself, so that a study needs no download.
#pragma once

#include <cstdint>

#include "slopewise/data/dataset.hpp"

namespace slopewise {

// Draws (28, 28, 1) images of the digits 0 to 9, white on black; image i shows digit i mod 10. Each is one of its
// digit's styles of strokes with its control points jittered, then rotated, sheared, scaled, shifted and drawn with a
// pen of random width and softness, plus noise. Image i is a pure function of (seed, train or test, i): a longer set
// starts with the shorter one, and the number of threads changes nothing. Throws ArgumentError unless both counts are
// in [1, 10,000,000].
//
// What is said when nothing is said, 10,000 images to train on and 2,000 to test (seed 1), is one fixed data set, as
// MNIST is: no seed of the user's changes it. Of that, multinomial logistic regression reads 90.7 % of the test
// images and a ReLU network 784-128-10 97.6 %: tests/study/digits_difficulty_test.cpp.
DataSplit builtin_digits(std::int64_t train_count = 10'000, std::int64_t test_count = 2'000, std::uint64_t seed = 1);

}  // namespace slopewise
