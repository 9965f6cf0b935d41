// ONNX Runtime, in a process of its own, on the same network.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "apps/bench/peer.hpp"
#include "apps/bench/subject.hpp"
#include "apps/bench/temporary_directory.hpp"

namespace slopewise {

// Where npm puts onnxruntime-node unless --onnxruntime names another place: in the user's cache.
std::filesystem::path default_onnxruntime_directory();

class OnnxRuntime {
 public:
  // Where it is: Node.js, and the directory in which npm has installed the package.
  struct Place {
    std::string node;
    std::filesystem::path directory;
  };

  // Takes a subject (subject.hpp), as an ONNX file, at the first θ, to be timed. Throws Error, with the command
  // that installs it, where there is no such package.
  OnnxRuntime(const Place& place, const BenchModel& model, Index batch, int threads)
      : OnnxRuntime(place, model, batch, threads, FreedMemory::kKept) {}

  const std::string& version() const { return peer_.version(); }
  // Throws Error unless it computes the loss that Slopewise does, within kLossTolerance of it.
  void require_equal_loss();
  // The loss of the batch, as in Peer.
  std::vector<double> run(Index count) { return peer_.run("loss", count); }
  // Its memory, as in Peer, by a process of its own.
  static Index peak(const Place& place, const BenchModel& model, Index batch, int threads);

  static constexpr double kLossTolerance = 1e-5;

 private:
  OnnxRuntime(const Place& place, const BenchModel& model, Index batch, int threads, FreedMemory freed);

  BenchSubject subject_;
  TemporaryDirectory files_;
  Peer peer_;
};

}  // namespace slopewise
