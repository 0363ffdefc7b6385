// What one lane of an operation must give, in extended precision or 128-bit integers.
#pragma once

#include "row_case.h"

namespace rose::codegen::x86::testing {

// One result from one lane of each operand.
using LaneFunction = std::function<uint64_t(const Lanes& operands)>;

uint64_t mask(ir::Type type);                  // the bits of one lane
__int128 whole(ir::Type type, uint64_t bits);  // the integer that they mean
LaneFunction integer_function(ir::Semantic semantic, ir::Type type);
LaneFunction real_function(ir::Semantic semantic, ir::Type type);
Expected float_limits(ir::Semantic semantic, ir::Type type, const ir::Target& target);  // how near to be
uint64_t compare(ir::Comparison comparison, ir::Type type, uint64_t a, uint64_t b);

std::vector<ir::Type> elements(const ir::Row& row);  // the scalar kinds of the row's instances

// The two halves of cases_of: operations lane by lane, and those that move lanes or memory.
void add_elementwise(const ir::Row& row, const ir::Target& target, std::vector<Case>& cases);
void add_lanes(const ir::Row& row, std::vector<Case>& cases);

inline constexpr int kLaneCounts[] = {1, 4, 8, 16, 32};

}  // namespace rose::codegen::x86::testing
