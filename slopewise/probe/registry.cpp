// Every law by name.
#include "slopewise/base/named.hpp"
#include "slopewise/probe/laws.hpp"

namespace slopewise {
namespace {

// A law without options.
template <class Make>
ProbeFamily plain(const char* name, const char* summary, Make make) {
  return {name, summary,
          [make](const ParameterLayout& layout, std::uint64_t seed, const LawOptions&) { return make(layout, seed); }};
}

NamedTable<ProbeFamily>& laws() {
  static NamedTable<ProbeFamily> table(
      "law", {plain("gaussian", "independent standard normal entries", gaussian_probe),
              plain("rademacher", "independent entries +1 and -1", rademacher_probe),
              plain("uniform", "independent entries uniform with variance 1", uniform_probe),
              plain("sphere", "uniform on the sphere of radius sqrt(n)", sphere_probe),
              plain("coordinate", "sqrt(n) times a random coordinate direction", coordinate_probe),
              plain("frame", "K orthogonal directions of length sqrt(n)", frame_probe),
              plain("rank-one", "u w^T per weight matrix, entries +1 and -1: two thirds of a dense tangent's products",
                    rank_one_rademacher_probe),
              plain("rank-one-gaussian", "u w^T per weight matrix, normal entries", rank_one_gaussian_probe),
              {"low-rank", "U W^T per weight matrix, of r columns with normal entries, W kept for some steps",
               low_rank_probe}});
  return table;
}

}  // namespace

void register_probe(ProbeFamily family) {
  laws().add(std::move(family));
}
const std::vector<std::string>& probe_names() {
  return laws().names();
}
std::string_view probe_summary(std::string_view name) {
  return laws().summary(name);
}

std::shared_ptr<const Probe> make_probe(std::string_view name, const ParameterLayout& layout, std::uint64_t seed,
                                        const LawOptions& options) {
  const ProbeFamily& law = laws().find(name);
  if (layout.size == 0)
    throw ArgumentError(fmt::format("law '{}': there are no parameters to draw tangents for", name));
  return law.make(layout, seed, options);
}

}  // namespace slopewise
