#include "codegen/ptx/instruction_text.h"

#include <fmt/format.h>

#include <iterator>

namespace rose::codegen::ptx {
namespace {

using ir::Type;

// PTX registers are untyped containers here; ptxas checks sizes alone for the .b kinds.
enum RegisterClass { kPredicate, kBits16, kBits32, kBits64, kBits128 };
constexpr const char* kPrefix[] = {"%p", "%h", "%r", "%d", "%q"};
constexpr const char* kDeclared[] = {".pred", ".b16", ".b32", ".b64", ".b128"};

RegisterClass class_of(Type type) {
  int bits = type.bits();
  if (type.is_pred() && type.lanes == 1) return kPredicate;
  if (bits <= 16) return kBits16;
  if (bits <= 32) return kBits32;
  if (bits <= 64) return kBits64;
  if (bits <= 128) return kBits128;
  throw ir::IrError(
      fmt::format("a {} value does not fit in a PTX register (at most 128 bits)", ir::to_string(type)));
}

std::string bit_type(Type type) { return type.is_pred() ? "pred" : fmt::format("b{}", type.bits()); }

constexpr const char* kSpecials[] = {
    "%tid.x",   "%tid.y",       "%tid.z",           "%ctaid.x",          "%ctaid.y",
    "%ctaid.z", "%nctaid.x",    "%nctaid.y",        "%nctaid.z",         "%ntid.x",
    "%laneid",  "%warpid",      "%cluster_ctarank", "%cluster_nctarank", "%smid",
    "%clock64", "%globaltimer", "%clusterid.x",     "%nclusterid.x"};

std::string comparison(ir::Comparison c, Type type) {
  constexpr const char* kNames[] = {"eq", "ne", "lt", "le", "gt", "ge"};
  // C++'s != is true for NaN: PTX's unordered form.
  if (c == ir::Comparison::kNe && type.is_float()) return "neu";
  return kNames[static_cast<int>(c)];
}

std::string vector_suffix(size_t n) { return n == 1 ? "" : fmt::format(".v{}", n); }

}  // namespace

InstructionText::InstructionText(const ir::Kernel& kernel) : kernel_(kernel) {
  numbers_.reserve(kernel.registers.size());
  for (const auto& r : kernel.registers) numbers_.push_back(counts_[class_of(r.type)]++);
}

std::string InstructionText::reg(ir::Reg reg) const {
  return kPrefix[class_of(kernel_.registers[reg].type)] + std::to_string(numbers_[reg]);
}

std::string InstructionText::parameter(size_t index) const {
  return "param_" + kernel_.parameters[index].name;
}

std::string InstructionText::register_declarations() const {
  std::string text;
  for (int c = 0; c < 5; ++c)
    if (counts_[c]) text += fmt::format("\t.reg {} {}<{}>;\n", kDeclared[c], kPrefix[c], counts_[c]);
  return text;
}

std::string InstructionText::operand(const ir::Operand& operand) const {
  if (!operand.is_constant()) return reg(operand.reg);
  Type type = operand.type;
  if (type.lanes > 1) {
    uint64_t bits = 0;
    for (int lane = 0; lane < type.lanes; ++lane) bits |= operand.bits << (lane * type.scalar_bits());
    return fmt::format("0x{:x}", bits);
  }
  if (type == ir::f32) return fmt::format("0f{:08X}", operand.bits);
  if (type == ir::f64) return fmt::format("0d{:016X}", operand.bits);
  if (type.is_float()) return fmt::format("0x{:x}", operand.bits);
  return std::to_string(ir::constant_int(operand));
}

std::string InstructionText::format(const ir::Instruction& i) const {
  const auto& row = *i.row;
  if (row.minimum_version(kernel_.target) == 0)
    throw ir::IrError(fmt::format("'{}' does not exist on {}", row.name, ir::to_string(kernel_.target)),
                      i.where);

  using enum ir::Semantic;
  if (row.semantic == kParameter) {
    auto index = static_cast<size_t>(i.attributes[0]);
    if (kernel_.parameters[index].kind == ir::Parameter::Kind::kTensorMap)
      return fmt::format("mov.b64 {0}, {1}; cvta.param.u64 {0}, {0};", reg(i.results[0]), parameter(index));
    return fmt::format("ld.param.{} {}, [{}];", bit_type(i.type), reg(i.results[0]), parameter(index));
  }
  if (row.semantic == kSharedBase) return fmt::format("mov.u32 {}, shared_memory;", reg(i.results[0]));
  if (row.semantic == kMove && i.type.is_pred() &&
      i.operands[0].is_constant())  // predicates have no constants
    return fmt::format("setp.{}.u32 {}, 0, 0;", i.operands[0].bits ? "eq" : "ne", reg(i.results[0]));
  // 8-bit values travel in 16-bit registers; there is no mov.b8.
  if ((row.semantic == kMove || row.semantic == kBitcast) && i.type.bits() == 8)
    return fmt::format("mov.b16 {}, {};", reg(i.results[0]), operand(i.operands[0]));
  return expand(i, row.text);
}

std::string InstructionText::expand(const ir::Instruction& i, std::string_view text) const {
  std::string out;
  auto put = std::back_inserter(out);
  auto number = [&](size_t& at) {
    size_t value = 0;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') value = value * 10 + (text[at++] - '0');
    return value;
  };
  auto list = [&](size_t first, size_t last, auto&& name) {
    if (last - first == 1) return out += name(first), void();
    out += '{';
    for (size_t k = first; k < last; ++k) out += (k > first ? ", " : "") + name(k);
    out += '}';
  };
  auto result_name = [&](size_t k) { return reg(i.results.at(k)); };
  auto operand_name = [&](size_t k) { return operand(i.operands.at(k)); };

  for (size_t at = 0; at < text.size();) {
    char c = text[at++];
    if (c == '%' && at < text.size() && text[at] == '%') {
      out += '%', ++at;
      continue;
    }
    if (c != '$') {
      out += c;
      continue;
    }
    char kind = text[at];
    if (kind >= '0' && kind <= '9') {
      out += operand_name(number(at));
      continue;
    }
    ++at;
    switch (kind) {
      case 'r':
        out += result_name(number(at));
        break;
      case 't':
        out += ir::to_string(i.type);
        break;
      case 'b':
        out += bit_type(i.type);
        break;
      case 'a':
        fmt::format_to(put, "{}", i.attributes.at(number(at)));
        break;
      case 'c':
        out += comparison(static_cast<ir::Comparison>(i.attributes.at(number(at))), i.type);
        break;
      case 'S':
        out += kSpecials[i.attributes.at(0)];
        break;
      case 'R':
        list(0, i.results.size(), result_name);
        break;
      case 'O':
        list(0, i.operands.size(), operand_name);
        break;
      case 'v':
        out += vector_suffix(i.results.size());
        break;
      case 'o': {  // stores: the operands that the text lists as $[n:]
        auto open = text.find("$[", at);
        size_t position = open + 2, first = number(position);
        out += vector_suffix(i.operands.size() - first);
        break;
      }
      case '+':
        if (auto n = i.attributes.at(number(at)); n != 0) fmt::format_to(put, "+{}", n);
        break;  // PTX writes r+-8
      case '[': {
        size_t first = number(at), last = i.operands.size();
        ++at;  // ':'
        if (text[at] != ']') last = number(at);
        ++at;  // ']'
        list(first, last, operand_name);
        break;
      }
      default:
        throw ir::IrError(fmt::format("row '{}': '${}' is not part of the text format", i.row->name, kind));
    }
  }
  return out;
}

}  // namespace rose::codegen::ptx
