// The operation table as a whole: names, signatures, texts, targets and effects agree with each other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "ir/error.h"
#include "ir/operation.h"

namespace rose::ir {
namespace {

constexpr Target kHopper{Arch::kSm90a, {}}, kBlackwell{Arch::kSm100a, {}}, kUltra{Arch::kSm103a, {}};

bool exists(const Row& row, const Target& target) { return row.minimum_version(target) != 0; }

// The numbers that follow `mark` in a text: references($, "add $r0, $0, $1") is {0, 1}.
std::set<int> references(const std::string& mark, const std::string& text) {
  std::set<int> found;
  for (size_t at = text.find(mark); at != text.npos; at = text.find(mark, at + 1)) {
    const size_t digit = at + mark.size();
    if (digit < text.size() && std::isdigit(static_cast<unsigned char>(text[digit])))
      found.insert(std::stoi(text.substr(digit)));
  }
  return found;
}

// How many registers a list of kinds names at least; a trailing "*" counts one.
int least_count(const std::vector<std::string>& kinds) {
  int count = 0;
  for (const auto& kind : kinds) {
    const auto star = kind.find('*');
    count += star == kind.npos || star + 1 == kind.size() ? 1 : std::stoi(kind.substr(star + 1));
  }
  return count;
}

TEST(Table, ManyFormsOnEveryTarget) {
  for (const auto& target : {kHopper, kBlackwell, kUltra}) {
    const auto forms = std::count_if(operations().begin(), operations().end(),
                                     [&](const Row& row) { return exists(row, target); });
    EXPECT_GT(forms, 1000) << to_string(target);
  }
}

TEST(Table, NamesAreUniqueWords) {
  std::set<std::string> names;
  for (const Row& row : operations()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_EQ(row.name.find(' '), row.name.npos) << row.name;
    EXPECT_EQ(&operation(row.name), &row);
  }
}

TEST(Table, AnUnknownNameListsItsNeighbours) {
  try {
    operation("mbarrier.await");
    FAIL() << "no exception";
  } catch (const IrError& error) {
    EXPECT_THAT(error.what(),
                testing::AllOf(testing::HasSubstr("'mbarrier.await'"), testing::HasSubstr("mbarrier.init")));
  }
}

// Each operand, result and attribute of the signature stands in the text, and no other does.
TEST(Table, TextsNameTheirSignature) {
  for (const Row& row : operations()) {
    if (row.text.empty()) continue;
    SCOPED_TRACE(row.name + ": " + row.text);
    const auto in_range = [&](const std::set<int>& used, int count) {
      if (!used.empty()) {
        EXPECT_LT(*used.rbegin(), count);
      }
    };
    const int results = least_count(row.signature.results), operands = least_count(row.signature.operands);
    auto used_results = references("$r", row.text);
    auto used_operands = references("$", row.text);
    in_range(used_results, results);
    in_range(used_operands, operands);
    in_range(references("$a", row.text), row.signature.attributes);
    if (row.text.find("$R") == row.text.npos) {
      EXPECT_EQ(static_cast<int>(used_results.size()), results);
    }
    for (size_t at = row.text.find("$["); at != row.text.npos; at = row.text.find("$[", at + 1)) {
      const int first = std::stoi(row.text.substr(at + 2));
      const auto colon = row.text.find(':', at);
      const int last = row.text[colon + 1] == ']' ? operands : std::stoi(row.text.substr(colon + 1));
      EXPECT_LE(last, operands);
      for (int n = first; n < last; ++n) used_operands.insert(n);
    }
    if (row.text.find("$O") == row.text.npos) {
      EXPECT_EQ(static_cast<int>(used_operands.size()), operands);
    }
  }
}

TEST(Table, WithoutAResultThereIsAnEffect) {
  for (const Row& row : operations()) {
    if (row.signature.results.empty()) {
      EXPECT_TRUE(row.effects.any()) << row.name << " would be dropped as dead code";
    }
    if (row.effects.reads || row.effects.writes) {
      EXPECT_NE(row.effects.space, Space::kNone) << row.name;
    }
  }
}

TEST(Table, FamiliesExistWhereTheHardwareHasThem) {
  for (const Row& row : operations()) {
    const auto starts = [&](const char* prefix) { return row.name.starts_with(prefix); };
    if (starts("wgmma.")) {
      EXPECT_TRUE(exists(row, kHopper) && !exists(row, kBlackwell) && !exists(row, kUltra)) << row.name;
    }
    if (starts("tcgen05.") || starts("clc.") || row.name.find("cta_group") != row.name.npos) {
      EXPECT_FALSE(exists(row, kHopper)) << row.name;
    }
    if (starts("tcgen05.mma") && row.name.find(".i8") != row.name.npos) {
      EXPECT_TRUE(exists(row, kBlackwell) && !exists(row, kUltra)) << row.name;
    }
    if (starts("tcgen05.ld.red")) {
      EXPECT_TRUE(!exists(row, kBlackwell) && exists(row, kUltra)) << row.name;
    }
    // What exists can be emitted: its version is not above the one that the emitter writes.
    for (const auto& target : {kHopper, kBlackwell, kUltra}) {
      EXPECT_LE(row.minimum_version(target), target.ptx_version()) << row.name << " on " << to_string(target);
    }
  }
}

TEST(Table, AlignedTextsNeedWholeWarps) {
  for (const Row& row : operations()) {
    if (row.text.find(".aligned") != row.text.npos) {
      EXPECT_NE(row.convergence, Convergence::kThread) << row.name;
    }
  }
}

TEST(Table, AccumulatorRegistersOfWgmma) {
  const Row& row = operation("wgmma.m64n256k16.f32.bf16.ss");
  EXPECT_EQ(row.signature.results, std::vector<std::string>{"f32*128"});
  EXPECT_EQ(row.signature.operands, (std::vector<std::string>{"u64", "u64", "pred"}));
  EXPECT_EQ(row.signature.attributes, 4);
  EXPECT_TRUE(row.effects.inout);
  EXPECT_EQ(operation("wgmma.m64n8k32.s32.s8.rs").signature.attributes, 0);
  EXPECT_EQ(operation("wgmma.m64n64k16.f16.f16.rs").signature.results, std::vector<std::string>{"f16x2*16"});
}

}  // namespace
}  // namespace rose::ir
