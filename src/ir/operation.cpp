#include "ir/operation.h"

#include <algorithm>
#include <unordered_map>

#include "ir/error.h"

namespace rose::ir {
namespace {

struct Table {
  std::vector<Row> rows;
  std::unordered_map<std::string_view, const Row*> by_name;

  Table() {
    for (auto group : {arithmetic_rows, conversion_rows, memory_rows, synchronization_rows, async_rows,
                       matrix_rows, blackwell_rows, x86_rows})
      for (auto& row : group()) rows.push_back(std::move(row));
    for (const auto& row : rows)
      if (!by_name.emplace(row.name, &row).second)
        throw IrError("the operation table has two rows '" + row.name + "'");
  }
};

const Table& table() {
  static const Table instance;
  return instance;
}

std::string near_names(std::string_view name) {
  auto stem = name.substr(0, name.find('.'));
  std::string list;
  int found = 0;
  for (const auto& row : table().rows)
    if (row.name.starts_with(stem) && found++ < 8) list += (list.empty() ? "" : ", ") + row.name;
  return list.empty() ? "none begins with '" + std::string(stem) + "'" : "near names: " + list;
}

}  // namespace

bool Row::has(Type type) const {
  return types.empty() || std::find(types.begin(), types.end(), type) != types.end();
}

int Row::minimum_version(const Target& target) const {
  switch (target.arch) {
    case Arch::kSm90a:
      return available.sm90a;
    case Arch::kSm100a:
      return available.sm100a;
    case Arch::kSm103a:
      return available.sm103a;
    case Arch::kX86:
      return available.x86 ? 1 : 0;
  }
  return 0;
}

std::span<const Row> operations() { return table().rows; }

const Row& operation(std::string_view name) {
  auto found = table().by_name.find(name);
  if (found == table().by_name.end())
    throw IrError("no operation '" + std::string(name) + "' in the table; " + near_names(name));
  return *found->second;
}

}  // namespace rose::ir
