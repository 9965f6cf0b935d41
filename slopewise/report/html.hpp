// Pieces of an HTML page that is one file: no script, style or font is loaded from anywhere.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace slopewise {

// The text with &, <, > and quotes escaped, for content and for quoted attributes.
std::string escape_html(std::string_view text);

// JSON as the content of a script element: "</" and "<!" are written so that they cannot end it.
std::string escape_script(std::string_view json);

// A table under a caption for screen readers; numbers are set to the right. Cells are HTML. In a table of
// the class "cards" every row becomes a block on a narrow screen, with the column's name before each cell.
std::string html_table(std::string_view caption, std::string_view css_class, const std::vector<std::string>& header,
                       const std::vector<std::vector<std::string>>& rows);

// A list of terms and what they are; both are text. Entries without a value are left out.
std::string html_facts(const std::vector<std::pair<std::string, std::string>>& facts);

// A whole page: style, body and, if any chart is in it, the script that draws it.
std::string html_page(std::string_view title, std::string_view body, bool charts);

}  // namespace slopewise
