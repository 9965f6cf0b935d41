// The kernels with which PyTorch's matrix products are fastest. OpenBLAS chooses by a list of processors that was made
// when it was released, and takes a newer one for an old one; what PyTorch then needs says nothing about PyTorch.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "slopewise/base/shape.hpp"

namespace slopewise {

// At one batch size and number of threads.
struct PyTorchKernels {
  struct Tried {
    std::string core_type;  // for OPENBLAS_CORETYPE; empty: as the library chooses by itself
    std::string kernels;    // as PyTorch::kernels()
    double rate = 0;        // of the product (batch, 1024) by (1024, 1024), in floating-point operations a second
  };

  Index batch = 0;
  int threads = 0;
  std::vector<Tried> tried;  // the library's own choice first
  std::size_t best = 0;

  const Tried& chosen() const { return tried[best]; }
};

// The kernels for each batch size: those of the fastest core type that OpenBLAS has and this processor can run. Each is
// tried by a process of its own, all in turn. Where another library multiplies there is nothing to choose. Throws Error
// where `python` has no PyTorch, and Interrupted.
std::vector<PyTorchKernels> fastest_kernels(const std::string& python, std::span<const Index> batches, int threads);

}  // namespace slopewise
