#include "slopewise/base/json_text.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "slopewise/base/error.hpp"

namespace slopewise {

nlohmann::ordered_json parse_json(std::string_view text, const std::string& source) {
  using Json = nlohmann::ordered_json;
  const Json::parser_callback_t bounded = [&](int depth, Json::parse_event_t event, Json&) {
    if (depth >= kMostJsonDepth &&
        (event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start))
      throw FileError(fmt::format("{}: JSON nested deeper than {} brackets", source, kMostJsonDepth));
    return true;
  };
  return Json::parse(text, bounded, false);
}

}  // namespace slopewise
