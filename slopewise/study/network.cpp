#include "slopewise/study/network.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "slopewise/base/error.hpp"
#include "slopewise/study/context.hpp"
#include "slopewise/train/evaluation.hpp"

namespace slopewise {

StudyNetwork study_network(const NetworkSpec& spec, const std::string& name, const Dataset& data) {
  const Shape& image = data.image_shape;
  const bool perceptron = spec.family == "mlp" || spec.family == "logistic";
  if (perceptron && (image.rank() != 3 || std::min(image[0], image[1]) < kTiny || data.classes < 2)) {
    throw ArgumentError(fmt::format(
        "study: expected images (height, width, channels) of {0} × {0} pixels or more in 2 classes or more, found "
        "examples of {1} in {2}",
        kTiny, image.to_string(), data.classes));
  }
  // What reads flat images takes them flat.
  StudyNetwork made{.name = name,
                    .network = make_network(spec, perceptron ? Shape{image.size()} : image, target_of(data)),
                    .perceptron = perceptron && !spec.residual};
  if (perceptron) {
    std::vector<Index> widths = {image.size()};
    widths.insert(widths.end(), spec.hidden.begin(), spec.hidden.end());
    widths.push_back(data.classes);
    made.name = fmt::format("{} {}", spec.family, fmt::join(widths, "-"));
  }
  return made;
}

}  // namespace slopewise
