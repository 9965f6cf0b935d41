// Options that say what a network between ranks is like.
#pragma once

#include "apps/settings.hpp"
#include "slopewise/audit/scale.hpp"

namespace slopewise {

// --latency, --bandwidth and --overhead. `wire` must live as long as the settings.
void add_wire_options(Settings& settings, Wire& wire);

}  // namespace slopewise
