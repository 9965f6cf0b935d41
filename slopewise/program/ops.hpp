// The ops a program is made of, by family. Each takes and returns nodes; shapes are those of one example.
// Every function throws ShapeError, naming the op and the shapes, where they do not fit.
#pragma once

#include "slopewise/program/ops/activations.hpp"
#include "slopewise/program/ops/arithmetic.hpp"
#include "slopewise/program/ops/attention.hpp"
#include "slopewise/program/ops/choice.hpp"
#include "slopewise/program/ops/conv.hpp"
#include "slopewise/program/ops/functions.hpp"
#include "slopewise/program/ops/layout.hpp"
#include "slopewise/program/ops/linear.hpp"
#include "slopewise/program/ops/losses.hpp"
#include "slopewise/program/ops/normalize.hpp"
#include "slopewise/program/ops/pool.hpp"
#include "slopewise/program/ops/recurrent.hpp"
#include "slopewise/program/ops/reduce.hpp"
#include "slopewise/program/ops/resize.hpp"
#include "slopewise/program/ops/softmax.hpp"
