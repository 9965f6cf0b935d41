// Formulas and column names as they are printed.
#pragma once

#include <string>
#include <string_view>

namespace slopewise {

// Text with names as in a formula, where a file spells them: "|grad_B|^2" is "‖∇ₘ‖²", "g_i" is "gᵢ"; and with numbers
// as format_number writes them: "-1" is "−1", "1.5e-07" is "1.5e−7". Other text stays.
std::string notation(std::string_view text);

// The same of a column's name, "test_error" as "test error".
std::string column_title(std::string_view column);

}  // namespace slopewise
