#include "apps/bench/subject.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "slopewise/base/error.hpp"
#include "slopewise/base/philox.hpp"
#include "slopewise/model/models.hpp"

namespace slopewise {
namespace {

constexpr Index kSide = 28;       // of MNIST's images
constexpr Index kSmallSide = 12;  // the least that two convolutions and a pooling leave something of
constexpr Index kSmallWidth = 64;
constexpr Index kClasses = 10;
constexpr std::uint64_t kSeed = 1;

struct NamedModel {
  std::string name;
  std::vector<Index> hidden;
  bool convolutional = false;
};

const std::vector<NamedModel>& models() {
  static const std::vector<NamedModel> models = {{"mlp-1024", {1024, 1024}},
                                                 {"mlp-256", {256}},
                                                 {"logistic", {}},
                                                 {"cnn", {}, true},
                                                 {"deep-64x512", std::vector<Index>(64, 512)}};
  return models;
}

const NamedModel& find(std::string_view name) {
  for (const NamedModel& model : models()) {
    if (model.name == name) return model;
  }
  throw ArgumentError(fmt::format("model: expected one of {}, found '{}'", fmt::join(bench_models(), ", "), name));
}

Program make_program(const NamedModel& model, Index side, const std::vector<Index>& hidden) {
  if (model.convolutional) return mnist_cnn({side, side, 1}, kClasses).program;
  if (hidden.empty()) return logistic(side * side, kClasses).program;
  return mlp(side * side, hidden, kClasses).program;
}

std::string describe(const NamedModel& model, Index side, const std::vector<Index>& hidden) {
  if (model.convolutional) return fmt::format("cnn,{}", side);
  std::vector<Index> widths = {side * side};
  widths.insert(widths.end(), hidden.begin(), hidden.end());
  widths.push_back(kClasses);
  return fmt::format("{}", fmt::join(widths, ","));
}

}  // namespace

const std::vector<std::string>& bench_models() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> found;
    for (const NamedModel& model : models()) found.push_back(model.name);
    return found;
  }();
  return names;
}

BenchSubject::BenchSubject(std::string_view model, Index batch)
    : BenchSubject(make_program(find(model), kSide, find(model).hidden),
                   describe(find(model), kSide, find(model).hidden), kSide * kSide, batch) {}

BenchSubject BenchSubject::small(std::string_view name) {
  const NamedModel& model = find(name);
  const std::vector<Index> hidden(std::min<std::size_t>(2, model.hidden.size()), kSmallWidth);
  return {make_program(model, kSmallSide, hidden), describe(model, kSmallSide, hidden), kSmallSide * kSmallSide, 1};
}

BenchSubject::BenchSubject(Program program, std::string shape, Index image_size, Index batch)
    : program_(std::move(program)),
      shape_(std::move(shape)),
      images_(static_cast<std::size_t>(image_size * batch)),
      labels_(static_cast<std::size_t>(batch)) {
  RandomStream random(kSeed);
  for (float& pixel : images_) pixel = static_cast<float>(random.uniform());
  for (std::int32_t& label : labels_) label = static_cast<std::int32_t>(random.below(kClasses));
}

Batch<float> BenchSubject::batch() const {
  return {.rows = batch_size(), .inputs = {std::span<const float>(images_), std::span<const std::int32_t>(labels_)}};
}

}  // namespace slopewise
