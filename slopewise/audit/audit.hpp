// `slopewise audit`: the questions in their order, and everything they found.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "slopewise/audit/costs.hpp"
#include "slopewise/audit/curvature.hpp"
#include "slopewise/audit/noise.hpp"
#include "slopewise/audit/recommendation.hpp"
#include "slopewise/audit/scale.hpp"
#include "slopewise/audit/trial.hpp"

namespace slopewise {

struct AuditOptions {
  bool verify = true;                   // run the best few
  double seconds = 150;                 // for all of it, as far as that can be chosen: trials take what is left
  double step_seconds = 10;             // of these for timing steps
  Index samples = 32;                   // tangents that means are over
  std::vector<Index> batches = {};      // whose memory is planned beside the task's own
  std::vector<std::string> tried = {};  // in place of the best few, beside backprop
  std::vector<Index> ranks = {};        // by which a step of weights is looked at, on this network
  Wire wire = {};
  double fall = 0.5;  // trials end where the loss has fallen by this share
};

// A step along tangents of weights by many ranks.
struct AuditRanks {
  ScalePoint step;      // K tangents in all
  double snr = 0;       // of these, without mini-batches' noise
  double snr_each = 0;  // of K tangents of each rank's own
};

struct AuditResult {
  Index parameters = 0;
  Index examples = 0;  // of the reference
  double loss = 0;
  Index least_bytes = 0;  // AuditSubject::least_bytes
  std::vector<AuditMethod> methods;
  std::vector<MethodCost> costs;
  Index rank_tangents = 0;  // K
  std::vector<AuditRanks> ranks;
  AuditNoise noise;
  AuditOutlook outlook;
  std::vector<Trial> trials;  // backprop's first, where it fits
  std::vector<MethodFigures> figures;
  Recommendation recommendation;

  // Of the task's batch; null where there is none.
  const MethodCost* cost(const std::string& method, Index batch) const;
  const MethodOutlook* outlook_of(const std::string& method) const;
  const Trial* trial(const std::string& method) const;
};

struct AuditWatcher {
  std::function<void(const std::string& what)> begins;
  std::function<void(double share)> advances;  // of all of it, added up to 1
};

// Throws ArgumentError and NumericError as AuditSubject and measure_audit_noise do, and Interrupted.
AuditResult run_audit(const AuditTask& task, const AuditOptions& options, const AuditWatcher& watcher);

// What audit.json says of it (docs/audit.md).
nlohmann::ordered_json audit_document(const AuditTask& task, const AuditOptions& options, const AuditResult& result);

}  // namespace slopewise
