// The laws whose tangents are dense: independent entries, the sphere, coordinates, orthonormal frames.
#include "slopewise/probe/laws.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "slopewise/probe/draw_of.hpp"
#include "slopewise/probe/entries.hpp"
#include "slopewise/tensor/cholesky.hpp"
#include "slopewise/tensor/vector.hpp"

namespace slopewise {
namespace {

RandomKey key_of(std::uint64_t seed, std::uint32_t step, Index k) {
  return {.seed = seed, .step = step, .stream = static_cast<std::uint32_t>(k)};
}

// --- independent entries: V[g_i] = ‖∇‖² + (κ − 2) ∇_i², over K

class IndependentDraw final : public DrawOf<IndependentDraw> {
 public:
  IndependentDraw(const ParameterLayout& layout, Index count, Entries law, std::uint64_t seed, std::uint32_t step)
      : DrawOf(layout, count), law_(law), seed_(seed), step_(step) {}
  template <class T>
  void entries(Index k, Index first, std::span<T> out) const {
    fill_entries(law_, key_of(seed_, step_, k), first, out);
  }

 private:
  Entries law_;
  std::uint64_t seed_;
  std::uint32_t step_;
};

class IndependentProbe final : public Probe {
 public:
  IndependentProbe(const ParameterLayout& layout, std::uint64_t seed, Entries law) : Probe(layout, seed), law_(law) {}
  bool quick_to_draw() const override { return law_ == Entries::kRademacher; }
  std::string_view name() const override { return entries_name(law_); }
  std::shared_ptr<const Draw> draw(std::uint32_t step, Index count) const override {
    check_count(count);
    return std::make_shared<IndependentDraw>(layout(), count, law_, seed(), step);
  }
  double entry_variance(const GradientView& gradient, Index i, Index count) const override {
    return (gradient.squared_norm() + (kurtosis() - 2) * gradient[i] * gradient[i]) / static_cast<double>(count);
  }
  double total_variance(const GradientView& gradient, Index count) const override {
    return gradient.squared_norm() / snr(count).low;
  }
  SnrRange snr(Index count) const override {
    const double snr = static_cast<double>(count) / (static_cast<double>(layout().size) + kurtosis() - 2);
    return {snr, snr};
  }
  bool rotation_invariant() const override { return law_ == Entries::kGaussian; }
  bool gaussian() const override { return law_ == Entries::kGaussian; }

 private:
  double kurtosis() const { return entries_kurtosis(law_); }
  Entries law_;
};

// --- laws of one length: ‖v‖² = n, so E‖g‖² = n ‖∇‖² and tr V = (n − 1) ‖∇‖², over K

class FixedLengthProbe : public Probe {
 public:
  using Probe::Probe;
  double total_variance(const GradientView& gradient, Index count) const final {
    return (static_cast<double>(layout().size) - 1) * gradient.squared_norm() / static_cast<double>(count);
  }
  SnrRange snr(Index count) const final {
    const double snr = static_cast<double>(count) / (static_cast<double>(layout().size) - 1);
    return {snr, snr};
  }
};

// --- the sphere of radius √n: v = √n z / ‖z‖.  V[g_i] = (n ‖∇‖² + (n − 2) ∇_i²) / (n + 2), over K

class SphereDraw final : public DrawOf<SphereDraw> {
 public:
  SphereDraw(const ParameterLayout& layout, Index count, std::uint64_t seed, std::uint32_t step)
      : DrawOf(layout, count), gaussian_(layout, count, Entries::kGaussian, seed, step) {
    for (Index k = 0; k < count; ++k)
      scales_.push_back(std::sqrt(static_cast<double>(layout.size) / gaussian_.squared_norm(k)));
  }
  template <class T>
  void entries(Index k, Index first, std::span<T> out) const {
    gaussian_.fill(k, first, out);
    for (T& entry : out) entry *= static_cast<T>(scales_[k]);
  }

 private:
  IndependentDraw gaussian_;
  std::vector<double> scales_;
};

class SphereProbe final : public FixedLengthProbe {
 public:
  using FixedLengthProbe::FixedLengthProbe;
  std::string_view name() const override { return "sphere"; }
  std::shared_ptr<const Draw> draw(std::uint32_t step, Index count) const override {
    check_count(count);
    return std::make_shared<SphereDraw>(layout(), count, seed(), step);
  }
  double entry_variance(const GradientView& gradient, Index i, Index count) const override {
    const auto n = static_cast<double>(layout().size);
    return (n * gradient.squared_norm() + (n - 2) * gradient[i] * gradient[i]) / (n + 2) / static_cast<double>(count);
  }
  bool rotation_invariant() const override { return true; }
};

// --- coordinates: v = √n e_I, I uniform.  V[g_i] = (n − 1) ∇_i², over K

class CoordinateDraw final : public DrawOf<CoordinateDraw> {
 public:
  CoordinateDraw(const ParameterLayout& layout, Index count, std::uint64_t seed, std::uint32_t step)
      : DrawOf(layout, count) {
    for (Index k = 0; k < count; ++k) {
      // 64 random bits times n, the high half: bias below n 2⁻⁶⁴.
      const auto words = philox4x32({0, 0, step, static_cast<std::uint32_t>(k)}, seed);
      const std::uint64_t bits = (std::uint64_t{words[0]} << 32) | words[1];
      __extension__ using Wide = unsigned __int128;
      chosen_.push_back(static_cast<Index>((Wide{bits} * static_cast<std::uint64_t>(layout.size)) >> 64));
    }
  }
  template <class T>
  void entries(Index k, Index first, std::span<T> out) const {
    std::fill(out.begin(), out.end(), T{0});
    const Index at = chosen_[k] - first;
    if (at >= 0 && at < static_cast<Index>(out.size())) {
      out[at] = static_cast<T>(std::sqrt(static_cast<double>(layout().size)));
    }
  }

 private:
  std::vector<Index> chosen_;
};

class CoordinateProbe final : public FixedLengthProbe {
 public:
  using FixedLengthProbe::FixedLengthProbe;
  std::string_view name() const override { return "coordinate"; }
  std::shared_ptr<const Draw> draw(std::uint32_t step, Index count) const override {
    check_count(count);
    return std::make_shared<CoordinateDraw>(layout(), count, seed(), step);
  }
  double entry_variance(const GradientView& gradient, Index i, Index count) const override {
    return (static_cast<double>(layout().size) - 1) * gradient[i] * gradient[i] / static_cast<double>(count);
  }
  double slope_kurtosis() const override { return std::numeric_limits<double>::infinity(); }
};

// --- orthonormal frames: V = √n Q, Q the K orthonormalised columns of a Gaussian Z. (1/K) Σ s_k v_k = (n/K) P∇, with P
// the projector on their span: V[g_i] = (n/K)² [(α + β) ∇_i² + β ‖∇‖²] − ∇_i², tr V = (n/K − 1) ‖∇‖²

class FrameDraw final : public DrawOf<FrameDraw> {
 public:
  FrameDraw(const ParameterLayout& layout, Index count, std::uint64_t seed, std::uint32_t step)
      : DrawOf(layout, count), gaussian_(layout, count, Entries::kGaussian, seed, step) {
    const std::vector<double> gram = gram_matrix(gaussian_);
    // Z L⁻ᵀ has orthonormal columns where ZᵀZ = L Lᵀ: column k is Σ_{j ≤ k} (L⁻¹)_{kj} z_j.
    combination_ = invert_lower(cholesky(gram, count), count);
    for (double& entry : combination_) entry *= std::sqrt(static_cast<double>(layout.size));
  }
  template <class T>
  void entries(Index k, Index first, std::span<T> out) const {
    std::array<T, 512> tile;
    for (std::size_t done = 0; done < out.size(); done += tile.size()) {
      const std::size_t size = std::min(tile.size(), out.size() - done);
      T* to = out.data() + done;
      std::fill_n(to, size, T{0});
      for (Index j = 0; j <= k; ++j) {
        gaussian_.fill(j, first + static_cast<Index>(done), std::span<T>(tile.data(), size));
        axpy(static_cast<T>(combination_[k * count() + j]), tile.data(), to, static_cast<Index>(size));
      }
    }
  }

 private:
  IndependentDraw gaussian_;
  std::vector<double> combination_;  // (K, K) lower
};

class FrameProbe final : public Probe {
 public:
  using Probe::Probe;
  std::string_view name() const override { return "frame"; }
  Index most_tangents() const override { return std::min(layout().size, kMostTangents); }
  std::shared_ptr<const Draw> draw(std::uint32_t step, Index count) const override {
    check_count(count);
    return std::make_shared<FrameDraw>(layout(), count, seed(), step);
  }
  double entry_variance(const GradientView& gradient, Index i, Index count) const override {
    const ProjectorMoments moments = projector_moments(layout().size, count);
    const double scale = static_cast<double>(layout().size) / static_cast<double>(count);
    const double square = gradient[i] * gradient[i];
    return scale * scale * ((moments.alpha + moments.beta) * square + moments.beta * gradient.squared_norm()) - square;
  }
  double total_variance(const GradientView& gradient, Index count) const override {
    return (static_cast<double>(layout().size) / static_cast<double>(count) - 1) * gradient.squared_norm();
  }
  SnrRange snr(Index count) const override {
    const double snr = 1 / (static_cast<double>(layout().size) / static_cast<double>(count) - 1);
    return {snr, snr};
  }
  bool rotation_invariant() const override { return true; }
  bool orthogonal() const override { return true; }
};

}  // namespace

ProjectorMoments projector_moments(Index size, Index count) {
  const auto n = static_cast<double>(size);
  const auto k = static_cast<double>(count);
  // A projector on all of Rⁿ is the identity; the formulas' denominators vanish at n = 1.
  if (size == count) return {.alpha = 1, .beta = 0};
  const double denominator = n * (n - 1) * (n + 2);
  return {.alpha = (k * k * (n + 1) - 2 * k) / denominator, .beta = k * (n - k) / denominator};
}

std::vector<double> gram_matrix(const Draw& draw) {
  const Index count = draw.count();
  constexpr Index kTile = 512;
  std::vector<double> gram(static_cast<std::size_t>(count * count), 0.0);
  std::vector<double> tiles(static_cast<std::size_t>(count * kTile));
  for (Index first = 0; first < draw.layout().size; first += kTile) {
    const Index size = std::min(kTile, draw.layout().size - first);
    for (Index k = 0; k < count; ++k)
      draw.fill(k, first,
                std::span(tiles).subspan(static_cast<std::size_t>(k * kTile), static_cast<std::size_t>(size)));
    for (Index a = 0; a < count; ++a) {
      for (Index b = 0; b <= a; ++b)
        gram[a * count + b] += dot(tiles.data() + a * kTile, tiles.data() + b * kTile, size);
    }
  }
  return gram;
}

std::shared_ptr<const Probe> gaussian_probe(const ParameterLayout& layout, std::uint64_t seed) {
  return std::make_shared<IndependentProbe>(layout, seed, Entries::kGaussian);
}
std::shared_ptr<const Probe> rademacher_probe(const ParameterLayout& layout, std::uint64_t seed) {
  return std::make_shared<IndependentProbe>(layout, seed, Entries::kRademacher);
}
std::shared_ptr<const Probe> uniform_probe(const ParameterLayout& layout, std::uint64_t seed) {
  return std::make_shared<IndependentProbe>(layout, seed, Entries::kUniform);
}
std::shared_ptr<const Probe> sphere_probe(const ParameterLayout& layout, std::uint64_t seed) {
  return std::make_shared<SphereProbe>(layout, seed);
}
std::shared_ptr<const Probe> coordinate_probe(const ParameterLayout& layout, std::uint64_t seed) {
  return std::make_shared<CoordinateProbe>(layout, seed);
}
std::shared_ptr<const Probe> frame_probe(const ParameterLayout& layout, std::uint64_t seed) {
  return std::make_shared<FrameProbe>(layout, seed);
}

}  // namespace slopewise
