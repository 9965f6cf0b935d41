#include "slopewise/report/json.hpp"

#include <nlohmann/json.hpp>

#include "slopewise/base/atomic_file.hpp"

namespace slopewise {

void write_json(const std::filesystem::path& path, const nlohmann::ordered_json& document) {
  write_text(path, document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

}  // namespace slopewise
