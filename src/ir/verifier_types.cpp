// Operands against signatures. Integers of one width are one kind of register: the row's type says how they
// are read.
#include <fmt/format.h>

#include <unordered_map>

#include "ir/verifier.h"

namespace rose::ir::verifier {
namespace {

// One entry of a signature, parsed once for all instructions of the row.
struct Kind {
  enum class Base { kRowType, kHalf, kAny, kMemory, kPointer, kSharedAddress, kConstant, kBits, kFixed };
  Base base = Base::kFixed;
  Type type;      // kFixed
  int bits = 0;   // kBits
  int count = 1;  // 0: one or more
  std::string text;
};

Kind parse(const std::string& text) {
  using enum Kind::Base;
  Kind kind;
  const auto star = text.find('*');
  kind.text = text.substr(0, star);
  if (star != text.npos) kind.count = star + 1 == text.size() ? 0 : std::stoi(text.substr(star + 1));
  if (kind.text == "t")
    kind.base = kRowType;
  else if (kind.text == "half")
    kind.base = kHalf;
  else if (kind.text == "any")
    kind.base = kAny;
  else if (kind.text == "mem")
    kind.base = kMemory;
  else if (kind.text == "ptr" || kind.text == "map")
    kind.base = kPointer;
  else if (kind.text == "smem")
    kind.base = kSharedAddress;
  else if (kind.text == "imm")
    kind.base = kConstant;
  else if (kind.text == "b16" || kind.text == "b32" || kind.text == "b64")
    kind.base = kBits, kind.bits = std::stoi(kind.text.substr(1));
  else
    kind.type = parse_type(kind.text);
  return kind;
}

struct Parsed {
  std::vector<Kind> results, operands;
};

bool same(Type a, Type b) {
  if (a == b) return true;
  return a.is_integer() && b.is_integer() && a.lanes == b.lanes && a.scalar_bits() == b.scalar_bits();
}

class Types {
 public:
  explicit Types(const Kernel& kernel) : kernel_(kernel), gpu_(kernel.target.is_gpu()) {}

  void check(const Instruction& i) {
    instruction_ = &i;
    if (!i.row) throw IrError("an instruction has no row of the operation table", i.where);
    const Row& row = *i.row;
    check_target(row);
    if (!row.types.empty() && !row.has(i.type) && (gpu_ || !has_kind(row, i.type)))
      fail(fmt::format("has no instance of type {}; it has {}", to_string(i.type), list(row.types)));
    bool any = row.signature.attributes < 0;  // one a lane, say
    if (!any && static_cast<int>(i.attributes.size()) != row.signature.attributes)
      fail(fmt::format("takes {} attributes, not {}", row.signature.attributes, i.attributes.size()));
    check_attributes(i);
    if (i.guard.reg != kNoReg && !type_of(i.guard.reg).is_pred())
      fail(fmt::format("is guarded by a {} register; a guard is a pred", to_string(type_of(i.guard.reg))));

    const Parsed& parsed = signature(row);
    std::vector<Type> types;
    for (Reg r : i.results) types.push_back(type_of(r));
    check_list("result", parsed.results, types, nullptr);
    types.clear();
    for (const Operand& o : i.operands) {
      if (!o.is_constant() && o.type != type_of(o.reg))
        fail(fmt::format("reads r{} as {}, but the register is {}", o.reg, to_string(o.type),
                         to_string(type_of(o.reg))));
      types.push_back(o.type);
    }
    check_list("operand", parsed.operands, types, &i.operands);
  }

  Type type_of(Reg reg) const {
    if (reg >= kernel_.registers.size())
      fail(fmt::format("names r{}, but the kernel has {} registers", reg, kernel_.registers.size()));
    return kernel_.registers[reg].type;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw IrError(fmt::format("'{}' {}", instruction_->row->name, what), instruction_->where);
  }

  void check_target(const Row& row) const {
    const int least = row.minimum_version(kernel_.target);
    if (least == 0) {
      std::string where;
      for (Arch arch : {Arch::kSm90a, Arch::kSm100a, Arch::kSm103a})
        if (row.minimum_version({arch, {}}) != 0)
          where += (where.empty() ? "" : ", ") + to_string(Target{arch, {}});
      if (row.available.x86) where += where.empty() ? "x86" : ", x86";
      fail(fmt::format("does not exist on {}; it exists on {}", to_string(kernel_.target), where));
    }
    if (gpu_ && least > kernel_.target.ptx_version())
      fail(fmt::format("needs PTX {}.{}, but PTX {}.{} is emitted for {}", least / 10, least % 10,
                       kernel_.target.ptx_version() / 10, kernel_.target.ptx_version() % 10,
                       to_string(kernel_.target)));
  }

  void check_attributes(const Instruction& i) const {
    const auto in_range = [&](const char* what, int64_t first, int64_t last) {
      if (i.attributes.empty() || i.attributes[0] < first || i.attributes[0] > last)
        fail(fmt::format("has {} {}, outside {} … {}", what, i.attributes.empty() ? -1 : i.attributes[0],
                         first, last));
    };
    switch (i.row->semantic) {
      case Semantic::kParameter:
        in_range("parameter number", 0, static_cast<int64_t>(kernel_.parameters.size()) - 1);
        break;
      case Semantic::kSpecial:
        in_range("special register", 0, static_cast<int64_t>(Special::kClusterGridX));
        break;
      case Semantic::kCompare:
        in_range("comparison", 0, static_cast<int64_t>(Comparison::kGe));
        break;
      default:
        break;
    }
    if (i.row->name.starts_with("setmaxnreg.")) {
      in_range("register count", 24, 256);
      if (i.attributes[0] % 8 != 0)
        fail(fmt::format("of {} registers; use a multiple of 8", i.attributes[0]));
    }
  }

  void check_list(const char* what, const std::vector<Kind>& kinds, const std::vector<Type>& types,
                  const std::vector<Operand>* operands) const {
    int fixed = 0;
    bool open = false;
    for (const Kind& kind : kinds) {
      fixed += std::max(kind.count, 1);
      open = open || kind.count == 0;
    }
    const int given = static_cast<int>(types.size());
    if (open ? given < fixed : given != fixed)
      fail(fmt::format("takes {}{} {}s, not {}", open ? "at least " : "", fixed, what, given));
    size_t at = 0;
    for (const Kind& kind : kinds) {
      const int count = kind.count == 0 ? given - fixed + 1 : kind.count;
      for (int n = 0; n < count; ++n, ++at) {
        const bool constant = operands && (*operands)[at].is_constant();
        if (!matches(kind, types[at], constant))
          fail(fmt::format("has a {} {} as {} {}, which must be {}", to_string(types[at]),
                           constant ? "constant" : "register", what, at, wanted(kind)));
      }
    }
  }

  // On x86 rows take any number of lanes of the kinds that they list, and a bitcast any kind.
  static bool has_kind(const Row& row, Type type) {
    if (row.semantic == Semantic::kBitcast) return true;
    for (Type instance : row.types)
      if (instance.scalar == type.scalar) return true;
    return false;
  }

  bool matches(const Kind& kind, Type type, bool constant) const {
    using enum Kind::Base;
    const Type row_type = instruction_->type;
    const bool scalar_integer = type.is_integer() && type.lanes == 1;
    switch (kind.base) {
      case kRowType:
        return same(type, row_type);
      case kHalf:
        return !gpu_ || (type.scalar == row_type.scalar && type.lanes * 2 == row_type.lanes);
      case kAny:
        return !gpu_ || type.bits() == row_type.bits();
      case kMemory:
        return same(type, row_type) || (row_type.bits() == 8 && type.bits() == 16);
      case kPointer:
        return scalar_integer && type.bits() == 64;
      case kSharedAddress:
        return scalar_integer && type.bits() == (gpu_ ? 32 : 64);
      case kConstant:
        return constant;
      case kBits:
        return type.bits() == kind.bits;
      case kFixed:
        return same(type, kind.type) || (!gpu_ && same(type.element(), kind.type.element()));
    }
    return false;
  }

  std::string wanted(const Kind& kind) const {
    using enum Kind::Base;
    switch (kind.base) {
      case kRowType:
        return "the row's type, " + to_string(instruction_->type);
      case kHalf:
        return "half of " + to_string(instruction_->type);
      case kAny:
        return fmt::format("of {} bits", instruction_->type.bits());
      case kMemory:
        return to_string(instruction_->type) + " or its 16-bit container";
      case kPointer:
        return "a 64-bit address";
      case kSharedAddress:
        return fmt::format("a {}-bit address of shared memory", gpu_ ? 32 : 64);
      case kConstant:
        return "a constant";
      case kBits:
        return fmt::format("of {} bits", kind.bits);
      case kFixed:
        return to_string(kind.type);
    }
    return kind.text;
  }

  const Parsed& signature(const Row& row) {
    auto [found, fresh] = signatures_.try_emplace(&row);
    if (fresh) {
      for (const auto& kind : row.signature.results) found->second.results.push_back(parse(kind));
      for (const auto& kind : row.signature.operands) found->second.operands.push_back(parse(kind));
    }
    return found->second;
  }

  static std::string list(const std::vector<Type>& types) {
    std::string text;
    for (Type type : types) text += (text.empty() ? "" : ", ") + to_string(type);
    return text;
  }

  const Kernel& kernel_;
  const bool gpu_;
  const Instruction* instruction_ = nullptr;
  std::unordered_map<const Row*, Parsed> signatures_;
};

}  // namespace

void check_types(const Kernel& kernel) {
  Types types(kernel);
  for_each_instruction(kernel.body, [&](const Instruction& i) { types.check(i); });
}

}  // namespace rose::ir::verifier
