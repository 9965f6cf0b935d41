#include "slopewise/model/models.hpp"

#include "slopewise/base/named.hpp"

namespace slopewise {
namespace {

struct Family {
  std::string name, summary;
  NetworkSpec spec;
};

const NamedTable<Family>& networks() {
  static const NamedTable<Family> table(
      "model",
      {{"logistic", "multinomial logistic regression", {.family = "logistic", .hidden = {}}},
       {"mlp", "two layers of 256 units", {.family = "mlp", .hidden = {256, 256}}},
       {"mlp-256", "one layer of 256 units", {.family = "mlp", .hidden = {256}}},
       {"mlp-1024", "two layers of 1024 units", {.family = "mlp", .hidden = {1024, 1024}}},
       {"deep-64x512", "64 layers of 512 units", {.family = "mlp", .hidden = std::vector<Index>(64, 512)}},
       {"cnn",
        "PyTorch's MNIST example: convolutions to 32 and 64 channels, 128 units",
        {.family = "cnn",
         .hidden = {128},
         .convolutions = {{.channels = 32, .padded = false}, {.channels = 64, .pool = true, .padded = false}}}},
       {"baydin-cnn",
        "four convolutions of 64 channels, 1024 units (Baydin et al. 2022)",
        {.family = "cnn",
         .hidden = {1024},
         .convolutions = {{.channels = 64, .padded = false},
                          {.channels = 64, .pool = true, .padded = false},
                          {.channels = 64, .padded = false},
                          {.channels = 64, .pool = true, .padded = false}}}},
       {"mixer", "a small MLP-Mixer: patches of 7 pixels, 256 channels", {.family = "mixer", .hidden = {256, 256}}}});
  return table;
}

}  // namespace

const std::vector<std::string>& network_names() {
  return networks().names();
}
std::string_view network_summary(std::string_view name) {
  return networks().summary(name);
}
NetworkSpec named_network(std::string_view name) {
  return networks().find(name).spec;
}

Model make_model(const NetworkSpec& spec, const Shape& image, NetworkTarget target) {
  const ChainBlock whole = make_chain(spec, image, target, false).front();
  return {.program = *whole.program, .logits = whole.sites.logits, .sites = whole.sites};
}

Model logistic(Index inputs, Index classes) {
  return make_model(named_network("logistic"), {inputs}, classes);
}

Model mlp(Index inputs, std::span<const Index> hidden, Index classes) {
  return make_model({.family = "mlp", .hidden = {hidden.begin(), hidden.end()}}, {inputs}, classes);
}

}  // namespace slopewise
