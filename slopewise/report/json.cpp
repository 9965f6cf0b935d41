#include "slopewise/report/json.hpp"

#include <nlohmann/json.hpp>

#include <fmt/format.h>

#include "slopewise/base/atomic_file.hpp"
#include "slopewise/base/error.hpp"
#include "slopewise/base/input_file.hpp"
#include "slopewise/base/json_text.hpp"

namespace slopewise {

void write_json(const std::filesystem::path& path, const nlohmann::ordered_json& document) {
  write_text(path, document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

nlohmann::ordered_json read_json(const std::filesystem::path& path) {
  nlohmann::ordered_json document = parse_json(read_text(path), path.string());
  if (document.is_discarded()) throw FileError(fmt::format("{}: expected JSON, found something else", path.string()));
  return document;
}

}  // namespace slopewise
