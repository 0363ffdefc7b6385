// Makes the rows of the GPU-only groups of the operation table (rows_*.cpp), which differ from each other by
// name and text alone.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ir/rows.h"

namespace rose::ir::rows {

// Where a form exists, beyond the words of rows.h. The numbers are the least PTX versions.
inline constexpr Availability kBlackwellBase{0, 86, 0};   // sm_100a alone (integer tcgen05)
inline constexpr Availability kBlackwellUltra{0, 0, 88};  // sm_103a alone
constexpr Availability gpu_since(int version) {           // a form younger than sm_90a
  const auto at_least = [version](int floor) {
    return static_cast<uint8_t>(version > floor ? version : floor);
  };
  return {at_least(80), at_least(86), at_least(88)};
}

inline constexpr Effects kPure{};
constexpr Effects access(bool reads, bool writes, Space space, Proxy proxy = Proxy::kGeneric) {
  return {.reads = reads, .writes = writes, .space = space, .proxy = proxy};
}
constexpr Effects synchronizing(Effects effects) {
  effects.sync = true;
  return effects;
}

// A row without a semantic of its own. `text` comes without the closing ";"; a text that begins with "{" is a
// block with its own registers and labels, which takes no ";".
inline Row row(std::string name, std::string text, std::vector<std::string> results,
               std::vector<std::string> operands, Availability available, Effects effects,
               Convergence convergence = Convergence::kThread, int attributes = 0,
               std::vector<Type> types = {}) {
  Row made;
  made.name = std::move(name);
  made.text = text.starts_with("{") ? std::move(text) : text + ";";
  made.signature = {std::move(results), std::move(operands), attributes};
  made.types = std::move(types);
  made.available = available;
  made.effects = effects;
  made.convergence = convergence;
  return made;
}

inline void append(std::vector<Row>& rows, std::vector<Row> more) {
  for (auto& one : more) rows.push_back(std::move(one));
}

// "kind*n", the signature's way to say n operands of one kind.
inline std::string times(const std::string& kind, int n) { return kind + "*" + std::to_string(n); }

// "{$2, $3, $4}": operands first to first+count-1 as a braced list, also when there is one.
std::string braced(int first, int count, const std::string& prefix = "$");

// Parts of the groups that fill a file of their own.
std::vector<Row> mbarrier_rows();
std::vector<Row> async_copy_rows();   // cp.async, st.async, red.async
std::vector<Row> bulk_rows();         // one-dimensional bulk copies
std::vector<Row> tma_rows();          // tensor copies and tensor maps
std::vector<Row> warp_matrix_rows();  // ldmatrix, stmatrix, mma.sync
std::vector<Row> warpgroup_matrix_rows();
std::vector<Row> tensor_memory_rows();
std::vector<Row> tensor_core_rows();  // tcgen05.mma in all its kinds

}  // namespace rose::ir::rows
