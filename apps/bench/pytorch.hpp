// PyTorch, in a process of its own, on the same shapes.
#pragma once

#include <string>
#include <vector>

#include "apps/bench/peer.hpp"
#include "apps/bench/subject.hpp"

namespace slopewise {

class PyTorch {
 public:
  // Runs `python` to time it, with OpenBLAS told by OPENBLAS_CORETYPE to use the kernels of a core type unless
  // `core_type` is empty. Throws Error, naming the package, where it has no PyTorch.
  PyTorch(const std::string& python, int threads, const std::string& core_type, const BenchSubject& subject);
  // The same for products alone.
  PyTorch(const std::string& python, int threads, const std::string& core_type);

  const std::string& version() const { return peer_.version(); }
  // What multiplies its matrices: "OpenBLAS " and the core type whose kernels that uses, or another library's name.
  std::string kernels();
  // Why this PyTorch cannot take a step ("sgd", "forward"; behind either, ":channels_last"); empty where it can.
  std::string lacks(const std::string& step);
  // As in Peer; a product is a step too.
  std::vector<double> run(const std::string& step, Index count) { return peer_.run(step, count); }
  // A step's memory, as in Peer, by a process of its own.
  static Index peak(const std::string& python, int threads, const std::string& core_type, const BenchSubject& subject,
                    const std::string& step);

  // The plain product x Wᵀ of product.hpp with so many rows of x.
  static std::string product(Index rows);

 private:
  PyTorch(const std::string& python, int threads, const std::string& core_type, const std::vector<std::string>& subject,
          FreedMemory freed);

  Peer peer_;
};

}  // namespace slopewise
