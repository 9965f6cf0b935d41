// What becomes of entries along axes. Reductions go over the axes given, or over all where none is; these disappear,
// or, where they are kept, have one entry. NaN gives NaN.
#pragma once

#include <vector>

#include "slopewise/program/graph.hpp"

namespace slopewise {

Node sum(const Node& x, const std::vector<Index>& axes = {}, bool keep = false);
Node mean(const Node& x, const std::vector<Index>& axes = {}, bool keep = false);
// Entries that are all the largest share its slope equally.
Node reduce_max(const Node& x, const std::vector<Index>& axes = {}, bool keep = false);
Node reduce_min(const Node& x, const std::vector<Index>& axes = {}, bool keep = false);
Node reduce_prod(const Node& x, const std::vector<Index>& axes = {}, bool keep = false);
Node reduce_l1(const Node& x, const std::vector<Index>& axes = {}, bool keep = false);
// √Σ x².  Where all are 0 the slope is 0, as that of `abs`.
Node reduce_l2(const Node& x, const std::vector<Index>& axes = {}, bool keep = false);
// log Σ e^x, where nothing overflows.
Node log_sum_exp(const Node& x, const std::vector<Index>& axes = {}, bool keep = false);

// Sums of the entries up to each along an axis: without itself if exclusive, from the end if reverse.
Node cumsum(const Node& x, Index axis, bool exclusive = false, bool reverse = false);

// The place of the largest (smallest) entry along an axis, which disappears, from 0 on, as a number: that of the first
// of equal ones, or of the last. Without slope.
Node argmax(const Node& x, Index axis, bool last_index = false);
Node argmin(const Node& x, Index axis, bool last_index = false);
// 1 at the first of the largest entries along an axis, 0 elsewhere. Without slope.
Node hardmax(const Node& x, Index axis = -1);

}  // namespace slopewise
