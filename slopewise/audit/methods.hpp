// What an audit is asked about: a network, its data, and the ways to train it.
#pragma once

#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "slopewise/train/trainer.hpp"

namespace slopewise {

// A figure that nobody knows.
inline constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

// Blocks that train with the head at most, where the rest of a network does not.
inline constexpr Index kMostTopBlocks = 2;
// The tops of a network of this library; none of one whose blocks have losses of their own, or without hidden layers.
std::vector<NetworkTop> tops_of(const Network& network);

struct AuditTask {
  // Its training set is what methods train on; its test set holds the reference examples, on which everything is
  // measured (reference_set).
  const DataSplit& data;
  Network network;                              // end to end
  std::optional<Network> local = std::nullopt;  // the same in blocks with losses of their own
  std::vector<NetworkTop> tops = {};            // the same where the top alone trains, exactly
  Index batch = 128;
  std::uint64_t seed = 1;
  std::string weights = {};   // file that θ starts from; empty: the network's own
  Index memory = 0;           // bytes that a run may take with its weights, beside data; 0: any number
  bool forward_only = false;  // no pullback, whatever fits
};

// A method, as `slopewise train` knows it.
struct AuditMethod {
  std::string name;
  std::string options;  // of slopewise train
  MethodSettings settings;
  enum class Network { kWhole, kLocal, kTop };
  Network network = Network::kWhole;
  std::size_t top = 0;  // which of the task's

  bool exact() const { return settings.estimator == "exact"; }
  // Residual feedback's mean is not the gradient.
  bool biased() const { return settings.options.activity.prior == "residual"; }
  // Tangents of weights alone, whose theory is known.
  bool at_weights() const { return settings.estimator == "forward" || settings.estimator == "central"; }
};

// Those that the task's networks allow, backprop first.
std::vector<AuditMethod> audit_methods(const AuditTask& task);
const Network& network_of(const AuditTask& task, const AuditMethod& method);
// A run of the method by plain gradient descent at a constant rate.
TrainSettings settings_of(const AuditTask& task, const AuditMethod& method, double rate);
// The trainer at the task's weights. Throws as Trainer does.
std::unique_ptr<Trainer> trainer_of(const AuditTask& task, const AuditMethod& method, double rate = 1e-3);

// Mini-batches that the reference examples make, at least one.
Index reference_batches(Index examples, Index batch);
// So many mini-batches of the training set, drawn without replacement, as a set of their own. Throws ArgumentError for
// a batch that the set cannot fill.
Dataset reference_set(const Dataset& train, Index batch, std::uint64_t seed);

}  // namespace slopewise
