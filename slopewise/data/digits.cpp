#include "slopewise/data/digits.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "slopewise/base/error.hpp"
#include "slopewise/base/philox.hpp"
#include "slopewise/base/threads.hpp"

namespace slopewise {
namespace {

constexpr int kSide = 28;
constexpr int kClasses = 10;
constexpr std::int64_t kMaxCount = 10'000'000;
constexpr std::uint64_t kTrainPurpose = 0x747261696E;  // "train"
constexpr std::uint64_t kTestPurpose = 0x74657374;     // "test"
constexpr std::int64_t kImagesAtOnce = 64;             // per call of parallel_for's body

enum Knot { kSmooth, kCorner, kStart };  // the curve runs through smoothly, turns sharply, or a stroke starts here

// A control point; x to the right and y down, the digit filling about [0.2, 0.8] × [0, 1].
struct Point {
  float x, y;
  Knot knot = kSmooth;
};

// One way of writing a digit: strokes end to end, each a spline through its points.
using Style = std::vector<Point>;

const std::array<std::vector<Style>, kClasses> kStyles = {{
    // 0: closed at the top; narrow, with an overlapping end; started at the right
    {{{.55f, .02f, kStart},
      {.3f, .12f},
      {.2f, .5f},
      {.3f, .88f},
      {.52f, .98f},
      {.74f, .86f},
      {.8f, .48f},
      {.7f, .12f},
      {.5f, .03f}},
     {{.5f, .05f, kStart},
      {.34f, .2f},
      {.3f, .55f},
      {.38f, .92f},
      {.56f, .96f},
      {.68f, .7f},
      {.68f, .3f},
      {.55f, .03f},
      {.4f, .12f}},
     {{.74f, .2f, kStart}, {.5f, .03f}, {.24f, .2f}, {.2f, .65f}, {.42f, .97f}, {.7f, .85f}, {.8f, .5f}, {.68f, .08f}}},
    // 1: a stroke; with a flag; with flag and foot
    {{{.5f, 0.f, kStart}, {.5f, .5f}, {.5f, 1.f}},
     {{.36f, .2f, kStart}, {.54f, .02f, kCorner}, {.53f, .5f}, {.52f, 1.f}},
     {{.34f, .2f, kStart}, {.52f, .02f, kCorner}, {.52f, .97f}, {.3f, .98f, kStart}, {.74f, .98f}}},
    // 2: sharp, looped and flat at the foot
    {{{.22f, .24f, kStart}, {.45f, .02f}, {.74f, .2f}, {.6f, .55f}, {.22f, .96f, kCorner}, {.8f, .95f}},
     {{.22f, .24f, kStart},
      {.48f, .02f},
      {.74f, .22f},
      {.55f, .65f},
      {.32f, .94f},
      {.2f, .84f},
      {.36f, .78f},
      {.6f, .93f},
      {.82f, .9f}},
     {{.25f, .1f, kStart}, {.55f, .03f}, {.75f, .25f}, {.55f, .6f}, {.25f, .92f, kCorner}, {.5f, .9f}, {.78f, .98f}}},
    // 3: two bows; flat top; with a small loop at the waist
    {{{.22f, .12f, kStart},
      {.5f, .02f},
      {.73f, .2f},
      {.62f, .42f},
      {.42f, .48f, kCorner},
      {.7f, .56f},
      {.78f, .78f},
      {.5f, .98f},
      {.2f, .88f}},
     {{.22f, .04f, kStart},
      {.75f, .04f, kCorner},
      {.45f, .42f, kCorner},
      {.75f, .58f},
      {.74f, .85f},
      {.45f, .98f},
      {.2f, .88f}},
     {{.25f, .08f, kStart},
      {.6f, .03f},
      {.68f, .3f},
      {.45f, .5f},
      {.38f, .46f},
      {.5f, .44f},
      {.74f, .62f},
      {.66f, .92f},
      {.2f, .95f}}},
    // 4: open; closed; curved, close to a 9
    {{{.28f, .05f, kStart}, {.2f, .55f, kCorner}, {.82f, .55f}, {.68f, .1f, kStart}, {.66f, .5f}, {.65f, 1.f}},
     {{.62f, 1.f, kStart}, {.64f, .02f, kCorner}, {.18f, .65f, kCorner}, {.86f, .64f}},
     {{.25f, .06f, kStart}, {.23f, .38f}, {.42f, .5f}, {.72f, .42f}, {.76f, .04f, kStart}, {.7f, .5f}, {.64f, 1.f}}},
    // 5: in one stroke; with the bar apart; rounded like an S
    {{{.76f, .03f, kStart},
      {.32f, .03f, kCorner},
      {.28f, .44f, kCorner},
      {.55f, .4f},
      {.78f, .65f},
      {.6f, .94f},
      {.2f, .92f}},
     {{.32f, .06f, kStart},
      {.27f, .46f, kCorner},
      {.6f, .42f},
      {.77f, .7f},
      {.55f, .97f},
      {.2f, .88f},
      {.32f, .05f, kStart},
      {.8f, .01f}},
     {{.74f, .08f, kStart},
      {.45f, .04f},
      {.28f, .2f},
      {.4f, .42f},
      {.68f, .6f},
      {.7f, .86f},
      {.45f, .98f},
      {.2f, .88f}}},
    // 6: round; straight stem with a small bow; started with a hook
    {{{.66f, .02f, kStart},
      {.36f, .28f},
      {.22f, .68f},
      {.4f, .96f},
      {.7f, .86f},
      {.7f, .6f},
      {.45f, .52f},
      {.24f, .72f}},
     {{.4f, 0.f, kStart}, {.28f, .4f}, {.27f, .8f}, {.48f, .98f}, {.72f, .82f}, {.58f, .6f}, {.3f, .74f}},
     {{.74f, .08f, kStart},
      {.45f, .12f},
      {.24f, .5f},
      {.28f, .9f},
      {.6f, .97f},
      {.76f, .72f},
      {.5f, .54f},
      {.27f, .66f}}},
    // 7: sharp; with a serif and a curved stem; with a bar
    {{{.2f, .06f, kStart}, {.8f, .05f, kCorner}, {.6f, .45f}, {.45f, 1.f}},
     {{.2f, .22f, kStart}, {.24f, .08f, kCorner}, {.5f, .1f}, {.78f, .05f, kCorner}, {.52f, .5f}, {.44f, 1.f}},
     {{.2f, .06f, kStart}, {.78f, .05f, kCorner}, {.56f, .5f}, {.42f, 1.f}, {.32f, .5f, kStart}, {.74f, .48f}}},
    // 8: in one stroke from the right; two rings; in one stroke from the middle
    {{{.7f, .16f, kStart},
      {.45f, .02f},
      {.28f, .22f},
      {.5f, .46f},
      {.74f, .74f},
      {.5f, .98f},
      {.25f, .76f},
      {.5f, .48f},
      {.72f, .22f},
      {.6f, .04f}},
     {{.5f, .02f, kStart},
      {.3f, .2f},
      {.5f, .45f},
      {.7f, .22f},
      {.5f, .02f},
      {.5f, .45f, kStart},
      {.24f, .72f},
      {.5f, .98f},
      {.76f, .7f},
      {.5f, .45f}},
     {{.5f, .46f, kStart},
      {.3f, .26f},
      {.48f, .02f},
      {.7f, .2f},
      {.5f, .48f},
      {.26f, .78f},
      {.5f, .99f},
      {.74f, .76f},
      {.48f, .46f}}},
    // 9: straight stem; curved tail; flat-topped, close to a 7
    {{{.72f, .24f, kStart},
      {.5f, .03f},
      {.26f, .24f},
      {.42f, .47f},
      {.68f, .32f},
      {.74f, .1f, kCorner},
      {.7f, .55f},
      {.64f, 1.f}},
     {{.7f, .2f, kStart},
      {.48f, .03f},
      {.25f, .26f},
      {.44f, .5f},
      {.7f, .28f, kCorner},
      {.74f, .65f},
      {.56f, .97f},
      {.26f, .92f}},
     {{.74f, .06f, kStart}, {.4f, .08f}, {.28f, .34f}, {.5f, .44f}, {.72f, .1f, kCorner}, {.58f, .5f}, {.46f, 1.f}}},
}};

// How much an image may differ from its style; chosen so that the classes overlap for a linear model but not for a
// curved one (figures in the header).
constexpr double kJitter = 0.12;    // of a control point, in units of the digit's height
constexpr double kRotation = 0.45;  // radians
constexpr double kShear = 0.5;      // x per y
constexpr double kMinHeight = 15, kMaxHeight = 22, kMinAspect = 0.7, kMaxAspect = 1.15;
constexpr double kShift = 3.0;                            // pixels
constexpr double kMinRadius = 0.5, kMaxRadius = 1.7;      // of the pen, pixels
constexpr double kMinSoftness = 0.9, kMaxSoftness = 2.0;  // width of the pen's edge, pixels
constexpr double kMaxNoise = 0.08;                        // of full white

// In [−1, 1], more often near 0: the mean of three uniforms, variance 1/9.
double bell(RandomStream& random) {
  const double sum = random.uniform(-1, 1) + random.uniform(-1, 1) + random.uniform(-1, 1);
  return sum / 3;
}

struct Segment {
  float x, y, dx, dy;
};

// Replaces the points by segments of the Catmull–Rom spline through them: between two points a cubic whose slope at
// each is half the step from the one before to the one after, or the step itself where the stroke ends or turns.
std::vector<Segment> flatten(const Style& points) {
  constexpr int kSteps = 5;
  std::vector<Segment> segments;
  for (std::size_t i = 0; i + 1 < points.size(); ++i) {
    const Point &a = points[i], &b = points[i + 1];
    if (b.knot == kStart) continue;
    const bool first = a.knot != kSmooth;
    const bool last = b.knot != kSmooth || i + 2 == points.size() || points[i + 2].knot == kStart;
    const auto curve = [&](float before, float from, float to, float after, float t) {
      const float m0 = first ? to - from : (to - before) / 2;
      const float m1 = last ? to - from : (after - from) / 2;
      // Hermite form: (2t³−3t²+1) p₀ + (t³−2t²+t) m₀ + (3t²−2t³) p₁ + (t³−t²) m₁.
      const float s = 1 - t;
      return (1 + 2 * t) * s * s * from + t * s * s * m0 + t * t * (3 - 2 * t) * to - t * t * s * m1;
    };
    const Point& before = first ? a : points[i - 1];
    const Point& after = last ? b : points[i + 2];
    float x = a.x, y = a.y;
    for (int step = 1; step <= kSteps; ++step) {
      const float t = static_cast<float>(step) / kSteps;
      const float next_x = curve(before.x, a.x, b.x, after.x, t), next_y = curve(before.y, a.y, b.y, after.y, t);
      segments.push_back({x, y, next_x - x, next_y - y});
      x = next_x;
      y = next_y;
    }
  }
  return segments;
}

// A digit's strokes in pixels: a style, jittered and moved.
std::vector<Segment> write_digit(int digit, RandomStream& random) {
  const auto& styles = kStyles[digit];
  Style points = styles[random.below(static_cast<std::uint32_t>(styles.size()))];
  const double angle = kRotation * bell(random), shear = kShear * bell(random);
  const double height = random.uniform(kMinHeight, kMaxHeight);
  const double width = height * random.uniform(kMinAspect, kMaxAspect);
  const double shift_x = kSide / 2.0 + kShift * bell(random), shift_y = kSide / 2.0 + kShift * bell(random);
  const double cosine = std::cos(angle), sine = std::sin(angle);
  for (Point& point : points) {
    const double y = height * (point.y - 0.5 + kJitter * bell(random));
    const double x = width * (point.x - 0.5 + kJitter * bell(random)) - shear * y;
    point.x = static_cast<float>(cosine * x - sine * y + shift_x);
    point.y = static_cast<float>(sine * x + cosine * y + shift_y);
  }
  return flatten(points);
}

void draw_digit(int digit, RandomStream random, std::uint8_t* pixels) {
  const std::vector<Segment> segments = write_digit(digit, random);
  const auto radius = static_cast<float>(random.uniform(kMinRadius, kMaxRadius));
  const auto softness = static_cast<float>(random.uniform(kMinSoftness, kMaxSoftness));
  const auto noise = static_cast<float>(random.uniform(0, kMaxNoise));

  // Squared distance of each pixel's centre to the nearest stroke, for the rows that a segment can reach.
  const float reach = radius + softness;
  float nearest[kSide][kSide];
  std::fill_n(&nearest[0][0], kSide * kSide, std::numeric_limits<float>::max());
  for (const auto& [x, y, dx, dy] : segments) {
    const float scale = 1 / (dx * dx + dy * dy + 1e-12f);
    const int top = std::clamp(static_cast<int>(std::min(y, y + dy) - reach), 0, kSide);
    const int bottom = std::clamp(static_cast<int>(std::max(y, y + dy) + reach) + 1, 0, kSide);
    for (int row = top; row < bottom; ++row) {
      const float from_y = static_cast<float>(row) + 0.5f - y;
      for (int column = 0; column < kSide; ++column) {
        const float from_x = static_cast<float>(column) + 0.5f - x;
        const float along = std::clamp((from_x * dx + from_y * dy) * scale, 0.f, 1.f);
        const float off_x = from_x - along * dx, off_y = from_y - along * dy;
        nearest[row][column] = std::min(nearest[row][column], off_x * off_x + off_y * off_y);
      }
    }
  }
  for (int i = 0; i < kSide * kSide; ++i) {
    const float distance = std::sqrt((&nearest[0][0])[i]);
    const float ink = std::clamp((radius - distance) / softness + 0.5f, 0.f, 1.f);
    const float grain = noise * static_cast<float>(random.uniform(-1, 1) + random.uniform(-1, 1));
    pixels[i] = static_cast<std::uint8_t>(255 * std::clamp(ink + grain, 0.f, 1.f) + 0.5f);
  }
}

Dataset draw_set(const char* argument, std::int64_t count, std::uint64_t seed) {
  if (count < 1 || count > kMaxCount) {
    throw ArgumentError(fmt::format("builtin_digits: {} is {}, expected 1 to {}", argument, count, kMaxCount));
  }
  Dataset set;
  set.name = "built-in digits";
  set.image_shape = {kSide, kSide, 1};
  set.classes = kClasses;
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(count * kSide * kSide));
  set.labels.resize(static_cast<std::size_t>(count));
  parallel_for((count + kImagesAtOnce - 1) / kImagesAtOnce, [&](std::int64_t group) {
    for (std::int64_t i = group * kImagesAtOnce; i < std::min((group + 1) * kImagesAtOnce, count); ++i) {
      set.labels[i] = static_cast<std::int32_t>(i % kClasses);
      draw_digit(set.labels[i], RandomStream(seed, static_cast<std::uint64_t>(i)), &pixels[i * kSide * kSide]);
    }
  });
  set.inputs = Rows(std::move(pixels), kSide * kSide);
  return set;
}

}  // namespace

DataSplit builtin_digits(std::int64_t train_count, std::int64_t test_count, std::uint64_t seed) {
  return {.train = draw_set("train_count", train_count, derive_seed(seed, kTrainPurpose)),
          .test = draw_set("test_count", test_count, derive_seed(seed, kTestPurpose)),
          .format = "built-in"};
}

}  // namespace slopewise
