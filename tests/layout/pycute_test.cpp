// Compares with the answers of pycute, where a file of them is given (pycute_cases.py writes it).
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "layout/divide.h"
#include "layout/product.h"
#include "random_layouts.h"

namespace rose::layout {
namespace {

Layout evaluate(const std::vector<std::string>& fields) {
  const std::string& operation = fields[0];
  Layout a = parse(fields[1]);
  if (operation == "coalesce") return coalesce(a);
  if (operation == "filter") return filter(a);
  if (operation == "right_inverse") return right_inverse(a);
  if (operation == "left_inverse") return left_inverse(a);
  if (operation == "complement") return complement(a, std::stoll(fields[2]));
  Layout b = parse(fields[2]);
  if (operation == "composition") return composition(a, b);
  if (operation == "logical_divide") return logical_divide(a, b);
  if (operation == "zipped_divide") return zipped_divide(a, b);
  if (operation == "logical_product") return logical_product(a, b);
  throw std::runtime_error("unknown operation " + operation);
}

// Is pycute's answer to a case that this room rejects wrong by the operation's own law?
bool breaks_law(const std::vector<std::string>& fields, const Layout& answer) {
  Layout a = parse(fields[1]);
  if (fields[0] == "complement") {  // together they must reach every index from 0 on once
    std::vector<int64_t> reached = sorted_values_of(make_layout({filter(a), answer}));
    for (size_t i = 0; i < reached.size(); ++i) {
      if (reached[i] != static_cast<int64_t>(i)) return true;
    }
    return false;
  }
  Layout b = parse(fields[2]);
  if (fields[0] == "logical_product") return answer[1].size() != b.size();
  if (fields[0] != "composition") return answer[0].size() != b.size();  // the tile of a division
  if (answer.size() != b.size()) return true;
  for (int64_t c = 0; c < b.size(); ++c) {
    if (answer(c) != a(b(c))) return true;
  }
  return false;
}

TEST(Pycute, AgreesOnTheAdmissibleDomain) {
  const char* path = std::getenv("ROSE_PYCUTE_CASES");
  if (path == nullptr) GTEST_SKIP() << "ROSE_PYCUTE_CASES names no file of cases";
  std::ifstream cases(path);
  ASSERT_TRUE(cases) << path;
  std::map<std::string, std::array<int, 3>>
      counts;  // agreed, rejected rightly, rejected though pycute is right
  for (std::string line; std::getline(cases, line);) {
    std::vector<std::string> fields;
    std::istringstream words(line);
    for (std::string field; std::getline(words, field, '\t');) fields.push_back(field);
    Layout expected, actual;
    bool answer_is_a_layout = true;
    try {
      expected = parse(fields.back());
    } catch (const LayoutError&) {
      answer_is_a_layout = false;  // pycute answers with extents of 0 where it should refuse
    }
    try {
      actual = evaluate(fields);
    } catch (const LayoutError&) {
      bool rightly = !answer_is_a_layout || breaks_law(fields, expected);
      if (!rightly) fmt::print("rejected: {}\n", line);
      ++counts[fields[0]][rightly ? 1 : 2];
      continue;
    }
    ASSERT_TRUE(answer_is_a_layout) << line;
    ASSERT_EQ(coalesce(actual), coalesce(expected)) << line << "\nhere: " << to_string(actual);
    ASSERT_EQ(product_each(actual.shape()), product_each(expected.shape())) << line;
    ++counts[fields[0]][0];
  }
  for (const auto& [operation, count] : counts) {
    fmt::print("{:16} agreed {:6}, rejected: pycute wrong {:6}, pycute right {:6}\n", operation, count[0],
               count[1], count[2]);
    EXPECT_GT(count[0], 1000) << operation;
    EXPECT_EQ(count[2], 0) << operation;
  }
}

}  // namespace
}  // namespace rose::layout
