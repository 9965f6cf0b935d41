// What the pages of studies, training runs and comparisons share.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "slopewise/report/charts.hpp"

namespace slopewise {

// One sentence that says what a forward gradient is, as a paragraph.
std::string definition_html();

// Words of the pages and what they mean, as the section "glossary".
std::string glossary_html();

// Where charts cannot be drawn: a note that tables stand in for them, for a program built without Vega-Lite, and for
// readers without JavaScript.
std::string chart_notes_html();

// A table that folds open, its numbers as format_number writes them.
std::string data_table_html(const std::string& name, const ChartData& data, bool open);

// The end of a page: what it takes to do the same again. One list of facts for each heading; a single one needs none.
using Facts = std::vector<std::pair<std::string, std::string>>;
std::string reproduction_html(const std::vector<std::pair<std::string, Facts>>& lists);

// What a document's `machine` says of the processor and the libraries.
void add_machine(Facts& facts, const nlohmann::ordered_json& results);

}  // namespace slopewise
