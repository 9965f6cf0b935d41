#include "slopewise/program/infinite.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "slopewise/tensor/random.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

// Adds rest ∘ ∞ to where the cotangent goes, and 0 where rest is 0.
template <class T>
void add_infinities(std::vector<T>& rest, const Jet<T>& in, const Cotangent<T>& target) {
  for (T& entry : rest) entry = push_through(std::numeric_limits<T>::infinity(), entry);
  if (!target.packed) return axpy(T{1}, rest.data(), target.data, in.rows * in.size);
  if constexpr (std::is_same_v<T, float>) {
    const float one = 1;
    const Index columns = target.packed->columns();
    target.packed->add({&one, 1}, [&](Index, Index first, Index, float*) { return rest.data() + first * columns; });
  }
}

// The finite entries go back alone. So do random numbers in place of the others: what gets exactly 0 of all of them is
// reached through zeros alone.
template <class T>
void pull_apart(const Op& op, const Pull<T>& visit) {
  const auto entries = static_cast<std::size_t>(visit.out.rows * visit.out.size);
  std::vector<T> finite(visit.cotangent, visit.cotangent + entries), others(entries);
  fill_uniform({}, 0, std::span<T>(others));
  for (std::size_t i = 0; i < entries; ++i) {
    const T given = finite[i];
    others[i] = std::isfinite(given) ? T{0} : std::copysign(T{2} + others[i], given);
    if (!std::isfinite(given)) finite[i] = T{0};
  }

  std::vector<std::vector<T>> reached(visit.in.size());
  std::vector<Cotangent<T>> targets(visit.in.size());
  for (std::size_t k = 0; k < visit.in.size(); ++k) {
    if (!visit.in_cotangents[k]) continue;
    reached[k].resize(static_cast<std::size_t>(visit.in[k].rows * visit.in[k].size));
    targets[k].data = reached[k].data();
  }
  Pull<T> part = visit;
  part.cotangent = others.data();
  part.in_cotangents = targets;
  op.pull(part);  // before the other, which may change weights where they lie
  part.cotangent = finite.data();
  part.in_cotangents = visit.in_cotangents;
  op.pull(part);
  for (std::size_t k = 0; k < visit.in.size(); ++k) {
    if (targets[k]) add_infinities(reached[k], visit.in[k], visit.in_cotangents[k]);
  }
}

}  // namespace

template <class T>
void pull_past_zeros(const Op& op, const Pull<T>& visit) {
  if (op.traits().keeps_zeros || all_finite(visit.cotangent, visit.out.rows * visit.out.size)) return op.pull(visit);
  pull_apart(op, visit);
}

template void pull_past_zeros(const Op& op, const Pull<float>& visit);
template void pull_past_zeros(const Op& op, const Pull<double>& visit);

}  // namespace slopewise
