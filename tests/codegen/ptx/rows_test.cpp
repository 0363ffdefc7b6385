// Assembles every row of the operation table: each instance of its type, on each GPU target that it claims.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <set>
#include <sstream>
#include <thread>

#include "assembler.h"
#include "codegen/ptx/emit.h"
#include "ir/kernel.h"
#include "ir/operation.h"

namespace rose::codegen::ptx {
namespace {

using namespace ir;

// How often a "*" operand is repeated: one, two or four registers, up to the 16 bytes of one access.
std::vector<int> repeats(const Row& row, Type type) {
  const auto open = [](const std::string& kind) { return kind.ends_with("*"); };
  const bool any = std::any_of(row.signature.results.begin(), row.signature.results.end(), open) ||
                   std::any_of(row.signature.operands.begin(), row.signature.operands.end(), open);
  if (!any) return {1};
  std::vector<int> counts{1};
  for (int n : {2, 4})
    if (type.bits() * n <= 128 && type.bits() >= 8) counts.push_back(n);
  return counts;
}

// The types of a list of kinds, in order.
std::vector<Type> types_of(const std::vector<std::string>& kinds, Type type, int repeat) {
  std::vector<Type> types;
  for (const std::string& kind : kinds) {
    const auto star = kind.find('*');
    const std::string base = kind.substr(0, star);
    int count = 1;
    if (star != kind.npos) count = star + 1 == kind.size() ? repeat : std::stoi(kind.substr(star + 1));
    Type one;
    if (base == "t" || base == "any" || base == "mem")
      one = type;
    else if (base == "half")
      one = type.with_lanes(type.lanes / 2);
    else if (base == "ptr" || base == "map")
      one = u64;
    else if (base == "smem" || base == "imm" || base == "b32")
      one = u32;
    else
      one = parse_type(base);
    types.insert(types.end(), count, one);
  }
  return types;
}

// Values of the attributes that make the row legal; most rows accept a one.
std::vector<std::vector<int64_t>> attribute_choices(const Row& row) {
  const auto n = static_cast<size_t>(row.signature.attributes);
  std::vector<std::vector<int64_t>> choices;
  if (row.name == "special") {
    for (int s = 0; s <= static_cast<int>(Special::kClusterGridX); ++s) {
      if (s != static_cast<int>(Special::kClock64) && s != static_cast<int>(Special::kGlobalTimer))
        choices.push_back({s});
    }
  } else if (row.name == "special.clock") {
    choices = {{static_cast<int64_t>(Special::kClock64)}, {static_cast<int64_t>(Special::kGlobalTimer)}};
  } else if (row.semantic == Semantic::kCompare) {
    for (int c = 0; c <= static_cast<int>(Comparison::kGe); ++c) choices.push_back({c});
  } else if (row.name.starts_with("setmaxnreg")) {
    choices = {{40}};
  } else if (row.name.starts_with("wgmma.m64")) {  // all plain; then all negated and transposed
    choices.push_back({1, 1});
    choices.back().resize(n, 0);
    choices.push_back({-1, -1});
    choices.back().resize(n, 1);
  } else if (row.semantic == Semantic::kParameter) {
    choices = {{0}};
  } else {
    choices.push_back(std::vector<int64_t>(n, 1));
    if (row.text.find("$+0") != row.text.npos) choices = {{0}, {128}};
  }
  return choices;
}

Kernel kernel_of(const Row& row, Type type, int repeat, const std::vector<int64_t>& attributes, Arch arch,
                 const std::string& name) {
  Kernel kernel;
  kernel.name = name;
  kernel.target.arch = arch;
  kernel.threads = {128, 1, 1};
  if (row.semantic == Semantic::kParameter)
    kernel.parameters.push_back({"value", Parameter::Kind::kScalar, type});
  if (row.semantic == Semantic::kSharedBase) kernel.shared_bytes = 1024;
  Instruction instruction;
  instruction.row = &row;
  instruction.type = type;
  instruction.attributes = attributes;
  for (Type t : types_of(row.signature.results, type, repeat))
    instruction.results.push_back(kernel.new_register(t, row.effects.inout));
  size_t kind = 0;
  const auto operand_types = types_of(row.signature.operands, type, repeat);
  for (Type t : operand_types) {
    if (operand_types.size() == row.signature.operands.size() && row.signature.operands[kind] == "imm")
      instruction.operands.push_back(constant(t, int64_t{1}));
    else
      instruction.operands.push_back({kernel.new_register(t), t});
    ++kind;
  }
  // What ptxas wants around the form: a register budget for setmaxnreg, the group's brackets around a
  // product.
  if (row.name.starts_with("setmaxnreg")) kernel.min_blocks = 1;
  const bool product = row.name.starts_with("wgmma.m64");
  const bool bracketed = product || row.name == "wgmma.commit_group";
  if (bracketed) kernel.body.push_back(Instruction{.row = &operation("wgmma.fence")});
  kernel.body.push_back(instruction);
  if (product) kernel.body.push_back(Instruction{.row = &operation("wgmma.commit_group")});
  if (bracketed) kernel.body.push_back(Instruction{.row = &operation("wgmma.wait_group"), .attributes = {0}});
  // A second copy shows that labels and registers inside a row's text do not clash.
  if (row.text.starts_with("{")) kernel.body.push_back(instruction);
  return kernel;
}

struct Entry {
  std::string row, text;
};

// The text from ".visible .entry" on; the lines before are equal for all entries of a target but shared
// memory.
std::string entry_text(const std::string& module) { return module.substr(module.find(".visible .entry")); }

// All different entries of a target. Many instances of a row print the same text; one of them is assembled.
std::vector<Entry> entries_of(Arch arch) {
  std::vector<Entry> entries;
  std::set<std::string> seen;
  const Target target{arch, {}};
  for (const Row& row : operations()) {
    if (row.minimum_version(target) == 0) continue;
    std::vector<Type> types = row.types;
    if (types.empty()) types.push_back(Type{});
    for (Type type : types) {
      if (row.name == "shared.base" && type == u64) continue;  // the x86 instance
      for (int repeat : repeats(row, type)) {
        for (const auto& attributes : attribute_choices(row)) {
          const std::string text =
              entry_text(emit(kernel_of(row, type, repeat, attributes, arch, "@NAME@"), {false}));
          if (!seen.insert(text).second) continue;
          std::string label = row.name;
          if (!type.none()) label += " (" + to_string(type) + ")";
          entries.push_back({label, text});
        }
      }
    }
  }
  return entries;
}

// One module of several entries; `first_line` gets the line on which each entry begins.
std::string module_of(const std::vector<Entry>& entries, size_t first, size_t last, Arch arch,
                      std::map<int, size_t>& first_line) {
  const Target target{arch, {}};
  std::string text = fmt::format(
      ".version {}.{}\n.target {}\n.address_size 64\n.extern .shared .align 16 .b8 shared_memory[];\n",
      target.ptx_version() / 10, target.ptx_version() % 10, to_string(target));
  int line = 5;
  for (size_t i = first; i < last; ++i) {
    std::string entry = entries[i].text;
    entry.replace(entry.find("@NAME@"), 6, "entry_" + std::to_string(i));
    first_line[line] = i;
    line += static_cast<int>(std::count(entry.begin(), entry.end(), '\n'));
    text += entry;
  }
  return text;
}

// Every ptxas message with the row that caused it.
std::string explain(const std::string& log, const std::map<int, size_t>& first_line,
                    const std::vector<Entry>& entries) {
  std::stringstream lines(log);
  std::string explained;
  std::set<std::string> told;
  for (std::string line; std::getline(lines, line);) {
    size_t number = entries.size();
    if (const auto at = line.find(", line "); at != line.npos) {
      const auto next = first_line.upper_bound(std::stoi(line.substr(at + 7)));
      if (next != first_line.begin()) number = std::prev(next)->second;
    } else if (const auto name = line.find("'entry_"); name != line.npos) {
      number = std::stoul(line.substr(name + 7));
    }
    if (number >= entries.size()) continue;
    const Entry& entry = entries[number];
    if (told.insert(entry.row).second) explained += entry.row + ": " + line.substr(line.find(';') + 1) + "\n";
  }
  return explained.empty() ? log : explained;
}

class RowsAssemble : public testing::TestWithParam<Arch> {};

TEST_P(RowsAssemble, EveryRowAndType) {
  const Arch arch = GetParam();
  ASSERT_FALSE(test::find_ptxas().empty())
      << "ptxas is missing: set ROSE_PTXAS, or run scripts/test, which installs it into .venv";
  const auto entries = entries_of(arch);
  ASSERT_GT(entries.size(), 1000u);
  constexpr size_t kBatch = 100;
  const size_t batches = (entries.size() + kBatch - 1) / kBatch;
  std::vector<std::string> problems(batches);
  std::atomic<size_t> next{0};
  auto work = [&] {
    for (size_t b = next++; b < batches; b = next++) {
      std::map<int, size_t> first_line;
      const auto module =
          module_of(entries, b * kBatch, std::min(entries.size(), (b + 1) * kBatch), arch, first_line);
      const auto result = test::assemble(module, to_string(Target{arch, {}}));
      // Warnings count too: "advisory" lines tell that an instruction was ignored or serialised.
      if (!result.ok || result.log.find("C75") != result.log.npos)
        problems[b] = explain(result.log, first_line, entries);
    }
  };
  const unsigned workers = std::max(1u, std::thread::hardware_concurrency());
  std::vector<std::thread> pool;
  for (unsigned i = 0; i < workers; ++i) pool.emplace_back(work);
  for (auto& worker : pool) worker.join();
  for (const auto& problem : problems) EXPECT_EQ(problem, "");
  RecordProperty("entries", static_cast<int>(entries.size()));
}

INSTANTIATE_TEST_SUITE_P(Targets, RowsAssemble, testing::Values(Arch::kSm90a, Arch::kSm100a, Arch::kSm103a),
                         [](const auto& info) { return to_string(Target{info.param, {}}); });

}  // namespace
}  // namespace rose::codegen::ptx
