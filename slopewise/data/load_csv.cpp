// Images as rows of train.csv and test.csv: a label and the pixels of a square, one channel each. libcsv does the
// quoting (RFC 4180).
#include <csv.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <exception>
#include <memory>
#include <new>
#include <string_view>

#include "slopewise/base/error.hpp"
#include "slopewise/data/byte_reader.hpp"
#include "slopewise/data/formats.hpp"

namespace slopewise::detail {
namespace {

constexpr std::string_view kLabel = "label";
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::int64_t kMostFields = 1 << 20;  // in a record
constexpr std::size_t kChunk = std::size_t{1} << 16;
// No number and no name of a column needs a field as long as this; a quote that is never closed makes one.
constexpr std::size_t kMostFieldBytes = std::size_t{1} << 20;

// Takes the fields of a file one by one.
class Rows {
 public:
  explicit Rows(std::string file) : file_(std::move(file)) {}

  void field(std::string_view text) {
    if (column_ == kMostFields) {
      throw FileError(fmt::format("{}: record {} has more than {} fields", file_, record_, kMostFields));
    }
    if (record_ == 1) {
      first_.emplace_back(text);
    } else {
      number(text);
    }
    ++column_;
  }

  void end_record() {
    if (record_ == 1) {
      begin();
    } else if (column_ != columns_) {
      throw FileError(
          fmt::format("{}: record {} has {} fields, expected {} as in the first", file_, record_, column_, columns_));
    }
    ++record_;
    column_ = 0;
  }

  Dataset finish() {
    const Shape images = {std::ssize(labels_), side_, side_};
    return make_set(file_, images, std::move(pixels_), file_, std::move(labels_));
  }

 private:
  // The first record is a header if one of its fields is "label", else it is data, whose first field is the label.
  void begin() {
    columns_ = column_;
    const std::int64_t pixels = std::ssize(first_) - 1;
    side_ = static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(pixels))));
    const auto labelled = std::ranges::find(first_, kLabel);
    const bool header = labelled != first_.end();
    if (header) {
      label_column_ = labelled - first_.begin();
      if (std::find(labelled + 1, first_.end(), kLabel) != first_.end()) {
        throw FileError(fmt::format("{}: two columns are called {}, expected one", file_, kLabel));
      }
    } else {
      for (column_ = 0; column_ < columns_; ++column_) number(first_[static_cast<std::size_t>(column_)]);
    }
    if (pixels == 0 || side_ * side_ != pixels) {
      throw FileError(
          fmt::format("{}: {} columns beside the label, expected the pixels of a square image of one "
                      "channel, as 784 are of 28×28; other shapes need .npy or .npz",
                      file_, pixels));
    }
    first_.clear();
  }

  void number(std::string_view text) {
    const bool label = column_ == label_column_;
    const int most = label ? kMostClasses - 1 : 255;
    int value = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < 0 || value > most) {
      throw FileError(fmt::format("{}: record {}, field {}: found {:?}, expected {} from 0 to {}{}", file_, record_,
                                  column_ + 1, text.substr(0, 40), label ? "a label" : "a pixel", most,
                                  record_ == 1 ? ", or a header with a column called label" : ""));
    }
    if (label) {
      labels_.push_back(value);
    } else {
      pixels_.push_back(static_cast<std::uint8_t>(value));
    }
  }

  std::string file_;
  std::vector<std::string> first_;
  std::int64_t record_ = 1, column_ = 0;  // where the next field is, from 1 and 0
  std::int64_t columns_ = 0, label_column_ = 0, side_ = 0;
  std::vector<std::uint8_t> pixels_;
  std::vector<std::int32_t> labels_;
};

// libcsv is C: what its callbacks throw is kept until it has returned.
struct Callbacks {
  Rows& rows;
  std::exception_ptr failure;

  template <class Act>
  static void guarded(void* self, Act act) {
    auto& callbacks = *static_cast<Callbacks*>(self);
    if (callbacks.failure) return;
    try {
      act(callbacks.rows);
    } catch (...) {
      callbacks.failure = std::current_exception();
    }
  }
  static void field(void* text, std::size_t size, void* self) {
    guarded(self, [&](Rows& rows) { rows.field({static_cast<const char*>(text), size}); });
  }
  static void end_record(int, void* self) {
    guarded(self, [](Rows& rows) { rows.end_record(); });
  }
};

Dataset load_set(const std::filesystem::path& path) {
  const std::string file = path.string();
  csv_parser parser;
  if (csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI) != 0) throw std::bad_alloc();
  const std::unique_ptr<csv_parser, decltype(&csv_free)> owner(&parser, csv_free);

  Rows rows(file);
  Callbacks callbacks{rows, {}};
  const auto check = [&](bool well_formed) {
    if (callbacks.failure) std::rethrow_exception(callbacks.failure);
    if (csv_error(&parser) == CSV_ENOMEM) throw std::bad_alloc();
    if (!well_formed || csv_get_buffer_size(&parser) > kMostFieldBytes) {
      throw FileError(
          fmt::format("{}: expected quotes around whole fields, in pairs (RFC 4180), found otherwise", file));
    }
  };
  ByteReader reader = ByteReader::open_stored(path);
  const std::uint64_t size = reader.remaining();
  for (std::uint64_t at = 0; at < size; at += kChunk) {
    const auto bytes = reader.read_up_to(kChunk);
    std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (at == 0 && text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    check(csv_parse(&parser, text.data(), text.size(), Callbacks::field, Callbacks::end_record, &callbacks) ==
          text.size());
  }
  check(csv_fini(&parser, Callbacks::field, Callbacks::end_record, &callbacks) == 0);
  return rows.finish();
}

DataSplit load_splits(const std::filesystem::path& directory) {
  const auto train = find_file(directory, "training images", {"train.csv"});
  const auto test = find_file(directory, "test images", {"test.csv"});
  return {load_set(train), load_set(test)};
}

}  // namespace

DirectoryFormat csv_format() {
  return {"CSV", "train.csv, test.csv", {"train.csv", "test.csv"}, load_splits};
}

}  // namespace slopewise::detail
