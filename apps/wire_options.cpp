#include "apps/wire_options.hpp"

namespace slopewise {

void add_wire_options(Settings& settings, Wire& wire) {
  const Kind seconds = with_unit("SECONDS", {{"us", 1e-6}, {"ms", 1e-3}, {"s", 1}}, 0, 1e3);
  settings.add("latency", wire.latency, seconds, "From one rank to another");
  settings.add(
      "bandwidth", [&wire] { return Value(8 * wire.bandwidth); },
      [&wire](const Value& bits) { wire.bandwidth = bits.get<double>() / 8; },
      with_unit("BITS", {{"kb/s", 1e3}, {"Mb/s", 1e6}, {"Gb/s", 1e9}, {"b/s", 1}}, 1, 1e18),
      "Of each rank's line, in bits a second");
  settings.add("overhead", wire.overhead, seconds, "What a message takes a processor");
}

}  // namespace slopewise
