// Tables on standard output: columns as wide as their widest cell, numbers to the right.
#pragma once

#include <string>
#include <vector>

namespace rose::cli {

class Table {
 public:
  // A heading that begins with '>' makes its column right-aligned.
  explicit Table(std::vector<std::string> headings);
  // One row; missing cells at its end are empty. Throws std::out_of_range for too many.
  void add(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  std::string text() const;

 private:
  std::vector<std::string> headings_;
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

// "1.24 ms", "830 µs", "12 s": three digits and the unit that suits.
std::string seconds_text(double seconds);
// "830 B", "1.2 KB" (1000 bytes), "141 GB".
std::string bytes_text(double bytes);

}  // namespace rose::cli
