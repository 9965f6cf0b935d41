#include "slopewise/data/csv_table.hpp"

#include <csv.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <exception>
#include <memory>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>

#include "slopewise/base/error.hpp"
#include "slopewise/base/lower_case.hpp"
#include "slopewise/base/parse.hpp"

namespace slopewise {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::size_t kMostFields = 1 << 20;  // in a record
constexpr std::size_t kTextAtOnce = std::size_t{1} << 16;
// No number and no name needs a field as long as this; a quote that is never closed makes one.
constexpr std::size_t kMostFieldBytes = std::size_t{1} << 20;
constexpr std::string_view kSeparators = ",;\t|";
constexpr std::size_t kShown = 40;  // bytes of a field that go into an error

// A finite number, or nothing.
std::optional<double> number_of(std::string_view text) {
  const std::optional<double> value = parse_number<double>(text);
  return value && std::isfinite(*value) ? value : std::nullopt;
}

// Whether it is a number but for a comma in place of its point.
bool has_decimal_comma(std::string_view text) {
  const std::size_t comma = text.find(',');
  if (comma == std::string_view::npos) return false;
  std::string pointed(text);
  pointed[comma] = '.';
  return number_of(pointed).has_value();
}

bool is_label_name(const std::string& name, const std::string& label) {
  const std::string lower = lower_case(name);
  return (!label.empty() && name == label && !number_of(name)) || lower == "label" || lower == "class" ||
         lower == "target" || lower == "y";
}

// Takes the fields of a file one by one.
class Records {
 public:
  Records(CsvTable& table, const std::string& label) : table_(table), label_(label) {}

  void field(std::string_view text) {
    if (record_.size() == kMostFields)
      throw FileError(fmt::format("{}: record {} has more than {} fields", table_.where, number_, kMostFields));
    if (number_ <= 2) {
      record_.emplace_back(text);
    } else {
      add(column_, text);
    }
    ++column_;
  }

  void end_record() {
    if (number_ == 1) {
      table_.columns = column_;
      first_ = std::move(record_);
    } else {
      if (column_ != table_.columns) {
        throw FileError(fmt::format("{}: record {} has {} fields, expected {} as in the first", table_.where, number_,
                                    column_, table_.columns));
      }
      if (number_ == 2) take_first(&record_);
      ++table_.rows;
    }
    record_.clear();
    column_ = 0;
    ++number_;
  }

  void finish() {
    if (number_ == 2) take_first(nullptr);
  }

 private:
  void take_first(const std::vector<std::string>* second) {
    number_ = 1;
    if (is_header(second)) {
      table_.header = std::move(first_);
    } else {
      for (std::size_t i = 0; i < first_.size(); ++i) add(i, first_[i]);
      ++table_.rows;
    }
    number_ = 2;
    if (!second) return;
    for (std::size_t i = 0; i < second->size(); ++i) add(i, (*second)[i]);
  }

  bool is_header(const std::vector<std::string>* second) const {
    std::size_t words = 0;
    for (std::size_t i = 0; i < first_.size(); ++i) {
      if (is_label_name(first_[i], label_)) return true;
      const bool word = !number_of(first_[i]) && !has_decimal_comma(first_[i]);
      if (word && second && number_of((*second)[i])) return true;
      words += word;
    }
    return words == first_.size() && words > 1;
  }

  void add(std::size_t column, std::string_view text) {
    const auto refuse = [&](const char* expected) {
      throw FileError(fmt::format("{}: record {}, {}: found {:?}, expected {}", table_.where, number_,
                                  table_.column_name(column), text.substr(0, kShown), expected));
    };
    const bool first = table_.rows == 0;
    const auto words = table_.words.find(column);
    if (const auto number = number_of(text); number && words == table_.words.end()) {
      table_.numbers.add(*number);
      if (text.find_first_of(".eE") != std::string_view::npos) table_.fractions[column] = true;
      return;
    }
    if (text.empty()) refuse("no empty field");
    if (words == table_.words.end() && has_decimal_comma(text))
      refuse(
          "a point in place of the decimal comma, as pandas' read_csv(path, sep=';', decimal=',').to_csv(…) writes it");
    if (!first && words == table_.words.end()) refuse("a finite number, as in the records before");
    if (first && is_no_number(text)) refuse("a finite number");
    CsvTable::Words& column_words = table_.words[column];
    const auto [place, fresh] = column_words.places.try_emplace(std::string(text), column_words.names.size());
    if (fresh) column_words.names.emplace_back(text);
    table_.numbers.add(static_cast<double>(place->second));
  }

  // Whether it stands for a number that is missing or none, rather than for a word.
  static bool is_no_number(std::string_view text) {
    std::string lower = lower_case(text);
    constexpr std::array kNone = {"nan", "na",   "n/a",      "null",      "none", "?",
                                  "inf", "-inf", "infinity", "-infinity", "-nan"};
    if (lower.starts_with('+')) lower.erase(0, 1);
    return std::ranges::find(kNone, lower) != kNone.end();
  }

  CsvTable& table_;
  const std::string& label_;
  std::vector<std::string> first_, record_;
  std::size_t number_ = 1, column_ = 0;  // of the record, from 1, and of the next field, from 0
};

// libcsv is C: what its callbacks throw is kept until it has returned.
struct Callbacks {
  Records& records;
  std::exception_ptr failure;

  template <class Act>
  static void guarded(void* self, Act act) {
    auto& callbacks = *static_cast<Callbacks*>(self);
    if (callbacks.failure) return;
    try {
      act(callbacks.records);
    } catch (...) {
      callbacks.failure = std::current_exception();
    }
  }
  static void field(void* text, std::size_t size, void* self) {
    guarded(self, [&](Records& records) { records.field({static_cast<const char*>(text), size}); });
  }
  static void end_record(int, void* self) {
    guarded(self, [](Records& records) { records.end_record(); });
  }
};

// Whether the commas of a record are those of decimals, as in 1,5;2,5 between semicolons.
bool separates_decimals(std::string_view record, char separator) {
  bool decimals = false;
  while (true) {
    const std::size_t end = std::min(record.find(separator), record.size());
    const std::string_view field = record.substr(0, end);
    if (field.find(',') != std::string_view::npos && !has_decimal_comma(field)) return false;
    decimals |= has_decimal_comma(field);
    if (end == record.size()) return decimals;
    record.remove_prefix(end + 1);
  }
}

// What most often stands between the fields of the first record.
unsigned char separator_of(std::string_view text) {
  std::array<std::size_t, kSeparators.size()> counts = {};
  bool quoted = false;
  std::size_t end = 0;
  for (; end < text.size(); ++end) {
    const char c = text[end];
    if (c == '"') quoted = !quoted;
    if (!quoted && (c == '\n' || c == '\r') && *std::ranges::max_element(counts) > 0) break;
    if (const auto place = kSeparators.find(c); !quoted && place != std::string_view::npos) ++counts[place];
  }
  for (std::size_t i = 1; i < kSeparators.size(); ++i) {
    if (counts[i] > 0 && separates_decimals(text.substr(0, end), kSeparators[i]))
      return static_cast<unsigned char>(kSeparators[i]);
  }
  const auto most = std::ranges::max_element(counts) - counts.begin();
  return static_cast<unsigned char>(kSeparators[most]);
}

}  // namespace

void Numbers::add(double number) {
  if (wide_.empty() && number >= 0 && number <= 255 && number == std::trunc(number) && !std::signbit(number)) {
    bytes_.push_back(static_cast<std::uint8_t>(number));
    return;
  }
  if (wide_.empty()) {
    wide_.assign(bytes_.begin(), bytes_.end());
    bytes_ = {};
  }
  wide_.push_back(number);
}

std::vector<double> Numbers::take_column(std::size_t columns, std::size_t column) {
  std::vector<double> taken;
  const auto take = [&](auto& numbers) {
    std::size_t to = 0;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      if (i % columns == column) {
        taken.push_back(static_cast<double>(numbers[i]));
      } else {
        numbers[to++] = numbers[i];
      }
    }
    numbers.resize(to);
  };
  are_bytes() ? take(bytes_) : take(wide_);
  return taken;
}

void Numbers::narrow() {
  if (wide_.empty()) return;
  Numbers narrowed;
  for (const double number : wide_) {
    narrowed.add(number);
    if (!narrowed.wide_.empty()) return;
  }
  *this = std::move(narrowed);
}

std::string CsvTable::column_name(std::size_t column) const {
  // A record may be longer than the header.
  const std::size_t number = before + column + 1;
  return column >= header.size() ? fmt::format("column {}", number)
                                 : fmt::format("column {}, {:?}", number, header[column].substr(0, kShown));
}

void CsvTable::drop_first() {
  numbers.take_column(columns, 0);
  if (!header.empty()) header.erase(header.begin());
  const auto renumber = [](auto& by_column) {
    std::remove_reference_t<decltype(by_column)> kept;
    for (auto& [column, value] : by_column) {
      if (column > 0) kept.emplace(column - 1, std::move(value));
    }
    by_column = std::move(kept);
  };
  renumber(words);
  renumber(fractions);
  --columns;
  ++before;
}

CsvTable read_csv(const std::filesystem::path& path, const std::string& label, UnpackLimit limit) {
  CsvTable table{.where = path.string()};
  csv_parser parser;
  if (csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI) != 0) throw std::bad_alloc();
  const std::unique_ptr<csv_parser, decltype(&csv_free)> owner(&parser, csv_free);

  Records records(table, label);
  Callbacks callbacks{records, {}};
  const auto check = [&](bool well_formed) {
    if (callbacks.failure) std::rethrow_exception(callbacks.failure);
    if (csv_error(&parser) == CSV_ENOMEM) throw std::bad_alloc();
    if (!well_formed || csv_get_buffer_size(&parser) > kMostFieldBytes) {
      throw FileError(
          fmt::format("{}: expected quotes around whole fields, in pairs (RFC 4180), found otherwise", table.where));
    }
  };
  ByteReader reader = ByteReader::open(path, limit);
  bool first = true;
  while (true) {
    const auto bytes = reader.read_up_to(kTextAtOnce);
    std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (first) {
      if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
      if (text.find('\0') != std::string_view::npos)
        throw FileError(fmt::format("{}: expected text of separated fields, found bytes of zero", table.where));
      csv_set_delim(&parser, separator_of(text));
    }
    first = false;
    if (bytes.empty()) break;
    check(csv_parse(&parser, text.data(), text.size(), Callbacks::field, Callbacks::end_record, &callbacks) ==
          text.size());
  }
  check(csv_fini(&parser, Callbacks::field, Callbacks::end_record, &callbacks) == 0);
  records.finish();
  return table;
}

}  // namespace slopewise
