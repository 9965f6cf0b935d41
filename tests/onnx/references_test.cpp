// Real transformers, as PyTorch exports them, against their reference logits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "slopewise/data/npz.hpp"
#include "tests/onnx/models.hpp"

namespace slopewise {
namespace {

std::filesystem::path models_folder() {
  const char* root = std::getenv("SLOPEWISE_DATA");
  return root ? std::filesystem::path(root) / "models" : std::filesystem::path();
}

class OnnxReferences : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (models_folder().empty()) GTEST_SKIP() << "SLOPEWISE_DATA is not set: no reference models";
  }
};
INSTANTIATE_TEST_SUITE_P(Fused, OnnxReferences, testing::Bool());

template <class T>
double largest_difference(const std::vector<float>& expected, const std::vector<T>& found) {
  EXPECT_EQ(expected.size(), found.size());
  double largest = 0;
  for (std::size_t i = 0; i < std::min(expected.size(), found.size()); ++i)
    largest = std::max(largest, std::fabs(static_cast<double>(found[i]) - static_cast<double>(expected[i])));
  return largest;
}

TEST_P(OnnxReferences, KeywordTransformer) {
  const OnnxModel model = load_onnx(models_folder() / "kwt1.onnx", {.fuse = GetParam()});
  EXPECT_EQ(model.layout().size, 607308);
  const NpzFile reference(models_folder() / "kwt1_reference.npz");
  const auto features = reference.read<float>("features", {8, 98, 40});
  const auto logits = reference.read<float>("logits", {8, 12});
  const auto found =
      output_of<float>(model, model.initial<float>(), {.rows = 8, .inputs = {std::span<const float>(features)}});
  EXPECT_LE(largest_difference(logits, found), 1e-4);
}

TEST_P(OnnxReferences, LanguageModel) {
  const OnnxModel model = load_onnx(models_folder() / "stories260K.onnx", {.fuse = GetParam()});
  EXPECT_EQ(model.layout().size, 292800);
  const NpzFile reference(models_folder() / "stories260K_reference.npz");
  const auto tokens = reference.read<std::int32_t>("tokens", {4, 128});
  const auto logits = reference.read<float>("logits", {4, 2, 512});
  const auto found =
      output_of<float>(model, model.initial<float>(), {.rows = 4, .inputs = {std::span<const std::int32_t>(tokens)}});
  ASSERT_EQ(found.size(), 4U * 128 * 512);
  std::vector<float> last;
  for (std::size_t b = 0; b < 4; ++b)
    last.insert(last.end(), found.begin() + static_cast<std::ptrdiff_t>((b * 128 + 126) * 512),
                found.begin() + static_cast<std::ptrdiff_t>((b + 1) * 128 * 512));
  EXPECT_LE(largest_difference(logits, last), 1e-4);
}

}  // namespace
}  // namespace slopewise
