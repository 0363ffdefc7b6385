#include "cli/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace rose::cli {
namespace {

// Columns on the screen: bytes that begin a character (no wide characters are printed here).
size_t width_of(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

// Three significant digits, as a table wants them.
std::string digits(double value) {
  return value < 9.995   ? fmt::format("{:.2f}", value)
         : value < 99.95 ? fmt::format("{:.1f}", value)
                         : fmt::format("{:.0f}", value);
}

}  // namespace

Table::Table(std::vector<std::string> headings) : headings_(std::move(headings)) {
  for (auto& heading : headings_) {
    right_.push_back(heading.starts_with('>'));
    if (right_.back()) heading.erase(0, 1);
  }
}

void Table::add(std::vector<std::string> cells) {
  if (cells.size() > headings_.size())
    throw std::out_of_range("a table row has more cells than the table has columns");
  cells.resize(headings_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::text() const {
  std::vector<size_t> widths;
  for (size_t c = 0; c < headings_.size(); ++c) {
    size_t width = width_of(headings_[c]);
    for (const auto& row : rows_) width = std::max(width, width_of(row[c]));
    widths.push_back(width);
  }
  std::string out;
  auto line = [&](const std::vector<std::string>& cells) {
    std::string text;
    for (size_t c = 0; c < cells.size(); ++c) {
      std::string space(widths[c] - width_of(cells[c]), ' ');
      text += (c ? "  " : "") + (right_[c] ? space + cells[c] : cells[c] + space);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + "\n";
  };
  line(headings_);
  for (const auto& row : rows_) line(row);
  return out;
}

std::string seconds_text(double seconds) {
  if (seconds < 999.5e-9) return digits(seconds * 1e9) + " ns";
  if (seconds < 999.5e-6) return digits(seconds * 1e6) + " µs";
  if (seconds < 999.5e-3) return digits(seconds * 1e3) + " ms";
  return digits(seconds) + " s";
}

std::string bytes_text(double bytes) {
  constexpr std::array<const char*, 5> kUnits{"B", "KB", "MB", "GB", "TB"};
  size_t unit = 0;
  while (bytes >= 999.5 && unit + 1 < kUnits.size()) bytes /= 1000, ++unit;
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : digits(bytes) + " " + kUnits[unit];
}

}  // namespace rose::cli
