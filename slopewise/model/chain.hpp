// A network as a chain of programs, each with a loss of its own: one program, trained end to end, or several, each
// reading what the one before made and learning from its own linear head (local losses: Nøkland & Eidnes 2019; with
// forward gradients, Ren et al. 2022).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "slopewise/program/program.hpp"
#include "slopewise/program/sites.hpp"

namespace slopewise {

struct NetworkSpec {
  // "logistic"; "mlp": linear layers of the widths `hidden`; "cnn": 3×3 convolutions, then `hidden`; "mixer": patches,
  // each embedded in hidden[0] channels, then for each width a layer over the channels and one over the patches
  // (Tolstikhin et al. 2021). Every layer ends in a ReLU.
  std::string family = "mlp";
  std::vector<Index> hidden = {256, 256};
  struct Convolution {
    Index channels = 32;
    bool pool = false;   // 2×2 maximum after it
    bool padded = true;  // by one pixel, so that the map keeps its size
  };
  std::vector<Convolution> convolutions = {};
  Index patch = 7;  // side of a mixer's patches
  // Layers that keep the shape add to what they read. The weights of N such layers start at 1/√N of He's, so that what
  // they add up to does not grow with depth (Radford et al. 2019, section 2.3).
  bool residual = false;
  double input_dropout = 0;
  double dropout = 0;  // after every layer
  double label_smoothing = 0;
  // Layers to a block with a loss of its own; 0: one block, end to end.
  Index block_layers = 0;
  // Heads of a block that is not the last, each for its share of the units (LocalMixer's grouping, Ren et al. 2022).
  Index groups = 1;
};

const std::vector<std::string>& network_families();

// What a network says of an example: a logit for each of so many classes, judged by cross entropy; or so many numbers,
// judged by the mean of their squared errors.
struct NetworkTarget {
  NetworkTarget(Index classes) : size(classes) {}
  static NetworkTarget of_numbers(Index outputs) {
    NetworkTarget target(outputs);
    target.numbers = true;
    return target;
  }

  Index size;
  bool numbers = false;
};

struct ChainBlock {
  // Inputs in this order: what the block before made (of the image's shape for the first), "noise" for dropout if
  // `noisy`, and "label", or "target" (outputs) for numbers.
  // Blocks of the same shapes share one program.
  std::shared_ptr<const Program> program;
  ActivitySites sites;  // after every layer
  Index output;         // the node that the next block reads; for the last block the logits, or the numbers
  bool noisy;
};

// The blocks for images (height, width, channels), or (inputs) where the first layer is linear. For training, with
// dropout and label smoothing; else without, and the same parameters. Throws ArgumentError for a spec that does not
// fit, ShapeError for an image that does not.
std::vector<ChainBlock> make_chain(const NetworkSpec& spec, const Shape& image, NetworkTarget target, bool training);

}  // namespace slopewise
