#include "slopewise/report/html.hpp"

#include <fmt/format.h>

#include <charconv>

#include "slopewise/report/format.hpp"
#include "slopewise/report/resources.hpp"

namespace slopewise {
namespace {

bool starts_with_number(std::string_view cell) {
  if (cell.starts_with(kMinus)) cell.remove_prefix(kMinus.size());
  double value = 0;
  return std::from_chars(cell.data(), cell.data() + cell.size(), value).ec == std::errc();
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\'':
        result += "&#39;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string escape_script(std::string_view json) {
  std::string result(json);
  replace_all(result, "</", "<\\/");
  replace_all(result, "<!", "\\u003c!");
  return result;
}

std::string html_table(std::string_view caption, std::string_view css_class, const std::vector<std::string>& header,
                       const std::vector<std::vector<std::string>>& rows) {
  std::string html =
      fmt::format("<table class=\"{}\"><caption>{}</caption><thead><tr>", css_class, escape_html(caption));
  for (const std::string& name : header) html += fmt::format("<th scope=\"col\">{}</th>", escape_html(name));
  html += "</tr></thead><tbody>\n";
  for (const std::vector<std::string>& row : rows) {
    html += "<tr>";
    for (std::size_t c = 0; c < row.size(); ++c) {
      html += fmt::format("<td data-column=\"{}\"{}>{}</td>", escape_html(header[c]),
                          starts_with_number(row[c]) ? " class=\"number\"" : "", row[c]);
    }
    html += "</tr>\n";
  }
  return html + "</tbody></table>\n";
}

std::string html_facts(const std::vector<std::pair<std::string, std::string>>& facts) {
  std::string html = "<dl class=\"facts\">\n";
  for (const auto& [term, value] : facts) {
    if (!value.empty())
      html += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", escape_html(term), escape_html(value));
  }
  return html + "</dl>\n";
}

std::string html_page(std::string_view title, std::string_view body, bool charts) {
  // The policy holds the page to its promise: nothing is fetched. Vega compiles its expressions, hence unsafe-eval.
  std::string html = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
      "script-src 'unsafe-inline' 'unsafe-eval'; img-src data: blob:\">\n"
      "<link rel=\"icon\" href=\"data:,\">\n"
      "<title>{}</title>\n<style>\n{}</style>\n"
      "<noscript><style>.chart {{ display: none; }}</style></noscript>\n</head>\n<body>\n{}",
      escape_html(title), resource("web/report.css"), body);
  if (charts) {
    html += "<script>\n";
    html += resource("web/vega.js");
    html += "</script>\n<script>\n";
    html += resource("web/theme.js");
    html += resource("web/prepare.js");
    html += resource("web/report.js");
    html += "</script>\n";
  }
  return html + "</body>\n</html>\n";
}

}  // namespace slopewise
