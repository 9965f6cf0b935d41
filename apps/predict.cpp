// `slopewise predict`: what a trained network says of examples.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>

#include "apps/arguments.hpp"
#include "apps/trained.hpp"
#include "apps/verb.hpp"
#include "slopewise/base/atomic_file.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/interrupt.hpp"
#include "slopewise/base/threads.hpp"
#include "slopewise/data/npz.hpp"
#include "slopewise/report/text.hpp"

namespace slopewise {
namespace {

struct PredictOptions {
  TrainedOptions trained;
  std::string out;  // empty: CSV to standard output
  bool all = false;
};

std::vector<double> softmax_of(std::span<const float> logits) {
  const float most = *std::ranges::max_element(logits);
  std::vector<double> shares;
  double sum = 0;
  for (const float logit : logits) sum += shares.emplace_back(std::exp(static_cast<double>(logit) - most));
  for (double& share : shares) share /= sum;
  return shares;
}

bool says_numbers(const Dataset& like) {
  return like.classes == 0;
}
// An answer's number in the targets' own units; of a model whose output is its loss, as it is.
double in_units(const Dataset& like, std::size_t k, float number) {
  return like.outputs > 0 ? number * like.target_deviation[k] + like.target_mean[k] : static_cast<double>(number);
}

// The answers line by line: one an example, or one for each of its places that have labels.
class CsvAnswers {
 public:
  CsvAnswers(const Dataset& like, const PredictOptions& options)
      : like_(like), places_(static_cast<std::size_t>(like.label_shape.size())), all_(options.all) {
    if (!options.out.empty()) file_.emplace(options.out);
    std::string header = "example";
    if (says_numbers(like)) {
      for (Index k = 0; k < std::max<Index>(1, like.outputs); ++k)
        header += like.outputs > 1 ? fmt::format(",prediction{}", k + 1) : ",prediction";
    } else {
      header += places_ > 1 ? ",place,class,probability" : ",class,probability";
      for (int c = 0; all_ && c < like.classes; ++c) header += "," + csv_field("p(" + name(c) + ")");
    }
    write(header + "\n");
  }

  void add(Index example, std::span<const float> answer) {
    if (says_numbers(like_)) {
      std::string line = std::to_string(example);
      for (std::size_t k = 0; k < answer.size(); ++k) line += fmt::format(",{:.9g}", in_units(like_, k, answer[k]));
      return write(line + "\n");
    }
    const std::size_t classes = answer.size() / places_;
    for (std::size_t place = 0; place < places_; ++place) {
      const std::vector<double> shares = softmax_of(answer.subspan(place * classes, classes));
      const auto best = std::ranges::max_element(shares) - shares.begin();
      std::string line = std::to_string(example);
      if (places_ > 1) line += fmt::format(",{}", place);
      line += fmt::format(",{},{:.6g}", csv_field(name(static_cast<int>(best))), shares[best]);
      for (std::size_t c = 0; all_ && c < shares.size(); ++c) line += fmt::format(",{:.6g}", shares[c]);
      write(line + "\n");
    }
  }
  void commit() {
    if (file_) file_->commit();
  }

 private:
  std::string name(int label) const {
    return like_.class_names.empty() ? std::to_string(label) : like_.class_names[label];
  }
  void write(const std::string& text) {
    if (file_) {
      file_->write(text);
    } else {
      std::cout << text;
    }
  }

  const Dataset& like_;
  std::size_t places_;
  bool all_;
  std::optional<AtomicFile> file_;
};

// The answers as arrays: classes and logits, or predictions.
class NpzAnswers {
 public:
  NpzAnswers(const Dataset& like, const std::string& path) : like_(like), file_(path) {}

  void add(Index, std::span<const float> answer) {
    ++count_;
    if (says_numbers(like_)) {
      for (std::size_t k = 0; k < answer.size(); ++k)
        answers_.push_back(static_cast<float>(in_units(like_, k, answer[k])));
      return;
    }
    answers_.insert(answers_.end(), answer.begin(), answer.end());
    const auto places = static_cast<std::size_t>(like_.label_shape.size()), classes = answer.size() / places;
    for (std::size_t place = 0; place < places; ++place) {
      const auto logits = answer.subspan(place * classes, classes);
      classes_.push_back(static_cast<std::int32_t>(std::ranges::max_element(logits) - logits.begin()));
      for (const double share : softmax_of(logits)) probabilities_.push_back(static_cast<float>(share));
    }
  }
  void commit() {
    std::vector<Index> extents{count_};
    if (says_numbers(like_)) {
      extents.push_back(std::max<Index>(1, like_.outputs));
      file_.add<float>("predictions", Shape(extents), answers_);
    } else {
      extents.insert(extents.end(), like_.label_shape.begin(), like_.label_shape.end());
      file_.add<std::int32_t>("classes", Shape(extents), classes_);
      extents.push_back(like_.classes);
      file_.add<float>("logits", Shape(extents), answers_);
      file_.add<float>("probabilities", Shape(extents), probabilities_);
    }
    file_.commit();
  }

 private:
  const Dataset& like_;
  NpzWriter file_;
  Index count_ = 0;
  std::vector<std::int32_t> classes_;
  std::vector<float> answers_, probabilities_;
};

template <class Answers>
void answer(const TrainedNetwork& network, const Dataset& set, Answers answers) {
  network.run(set, [&](std::span<const Index> rows, double, std::span<const float> outputs) {
    check_interrupted("predicting");
    const std::size_t each = outputs.size() / rows.size();
    for (std::size_t r = 0; r < rows.size(); ++r) {
      // Of a set that is a part of a file, the place in the file.
      const auto row = static_cast<std::size_t>(rows[r]);
      answers.add(set.selection.empty() ? rows[r] : set.selection[row], outputs.subspan(r * each, each));
    }
  });
  answers.commit();
}

int predict(const PredictOptions& options, const Settings& given) {
  apply(options.trained.run_options);
  const std::filesystem::path out = options.out;
  if (!options.out.empty()) require_extension("--out", out, {".csv", ".npz"}, /*may_lack=*/false);
  if (std::filesystem::exists(out) && !std::filesystem::is_regular_file(out))
    throw FileError(fmt::format("{}: cannot write: expected a file or nothing there", options.out));
  const TrainedNetwork network = open_network(options.trained, given);
  const Dataset set = data_for(network, options.trained, given, /*labels_needed=*/false);
  if (extension_of(out) == ".npz") {
    answer(network, set, NpzAnswers(network.data(), options.out));
  } else {
    answer(network, set, CsvAnswers(network.data(), options));
  }
  return 0;
}

}  // namespace

Verb predict_verb() {
  const auto options = std::make_shared<PredictOptions>();
  Verb verb{.settings = Settings("predict"),
            .summary = "Write what a trained network says of examples: classes or numbers"};
  add_trained_options(verb.settings, options->trained);
  verb.settings.add("out", options->out, text("FILE"), "File to write, .csv or .npz",
                    {.letter = 'o', .otherwise = "CSV to standard output"});
  verb.settings.flag("all", options->all, "CSV: also the probability of every class");
  verb.examples = {"slopewise predict runs/train --data new.csv",
                   "slopewise predict runs/train --data mnist --out answers.npz",
                   "slopewise predict weights.safetensors --data photos --all --out answers.csv"};
  verb.run = [options](Settings& given) { return predict(*options, given); };
  return verb;
}

}  // namespace slopewise
