// Laws of independent entries of mean 0 and variance 1, of which tangents are made.
#pragma once

#include <span>
#include <string_view>

#include "slopewise/base/shape.hpp"
#include "slopewise/tensor/random.hpp"

namespace slopewise {

enum class Entries {
  kGaussian,    // standard normal
  kRademacher,  // ±1
  kUniform,     // on [−√3, √3)
};

// "gaussian", "rademacher", "uniform".
std::string_view entries_name(Entries law);
// Throws ArgumentError for another name.
Entries entries_named(std::string_view name);
// κ = E[v⁴].
double entries_kurtosis(Entries law);
// Entries [first, first + out.size()) of the key's stream (random.hpp).
void fill_entries(Entries law, const RandomKey& key, Index first, std::span<float> out);
void fill_entries(Entries law, const RandomKey& key, Index first, std::span<double> out);

}  // namespace slopewise
