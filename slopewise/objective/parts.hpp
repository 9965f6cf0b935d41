// Parts of what a step is made on: some of its tangents, some of its examples.
#pragma once

#include "slopewise/program/given.hpp"
#include "slopewise/tensor/tangents.hpp"

namespace slopewise {

// Tangents [first, first + count) as a copy; drawn ones by the same function.
template <class T>
Tangents<T> some_tangents(const Tangents<T>& all, Index first, Index count);

// Examples [first, first + rows), where they lie.
template <class T>
Batch<T> some_rows(const Batch<T>& all, Index first, Index rows);

}  // namespace slopewise
