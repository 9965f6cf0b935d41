#include "python/src/origin.hpp"

#include "slopewise/audit/methods.hpp"

namespace slopewise {
namespace {

class OfFile final : public Origin {
 public:
  OfFile(std::shared_ptr<const OnnxModel> model, OnnxOptions options, const OnnxLossOptions& loss)
      : model_(std::move(model)), options_(std::move(options)), loss_(loss) {}
  Network network() const override { return onnx_network(model_, options_, loss_).network; }
  std::optional<Network> local() const override { return std::nullopt; }
  std::vector<NetworkTop> tops() const override { return onnx_tops(*model_, options_, loss_, kMostTopBlocks); }
  Dataset data() const override { return data_of(*model_, loss_); }
  const OnnxModel* file() const override { return model_.get(); }

 private:
  std::shared_ptr<const OnnxModel> model_;
  OnnxOptions options_;
  OnnxLossOptions loss_;
};

class OfFamily final : public Origin {
 public:
  OfFamily(const NetworkSpec& spec, const Shape& image, NetworkTarget target)
      : spec_(spec), image_(image), target_(target) {}
  Network network() const override { return make_network(spec_, image_, target_); }
  std::optional<Network> local() const override { return local_network(spec_, image_, target_); }
  std::vector<NetworkTop> tops() const override { return tops_of(network()); }
  Dataset data() const override {
    Dataset data{.name = spec_.family, .image_shape = image_};
    if (target_.numbers) {
      data.outputs = target_.size;
      data.target_mean.assign(static_cast<std::size_t>(target_.size), 0);
      data.target_deviation.assign(static_cast<std::size_t>(target_.size), 1);
    } else {
      data.classes = static_cast<int>(target_.size);
    }
    return data;
  }

 private:
  NetworkSpec spec_;
  Shape image_;
  NetworkTarget target_;
};

}  // namespace

std::shared_ptr<const Origin> origin_of(std::shared_ptr<const OnnxModel> model, const OnnxOptions& options,
                                        const OnnxLossOptions& loss) {
  return std::make_shared<OfFile>(std::move(model), options, loss);
}

std::shared_ptr<const Origin> origin_of(const NetworkSpec& spec, const Shape& image, NetworkTarget target) {
  return std::make_shared<OfFamily>(spec, image, target);
}

}  // namespace slopewise
