// Internal to codegen/x86: writes one kernel as one LLVM function. control.cpp walks the statements and keeps
// the registers; the other emit_*.cpp files give each operation its code. The only header here that shows
// LLVM.
//
// How values are held: f32, f64 and integers as themselves, pred as i1, f16 and bf16 as i16, e4m3 and e5m2 as
// i8, n lanes as an LLVM vector <n x …>. e2m1 is packed, two lanes a byte, the even lane in the low half.
// Holding small floats as integers keeps LLVM's slow legalisation of half and bfloat out of loads, shuffles
// and selects.
#pragma once

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/IR/Module.h>

#include <functional>
#include <string_view>
#include <vector>

#include "codegen/x86/error.h"
#include "ir/kernel.h"

namespace rose::codegen::x86 {

using llvm::Value;
using Values = std::vector<Value*>;

class Emitter {
 public:
  Emitter(const ir::Kernel& kernel, llvm::Module& module);
  void run();                                        // adds the function kernel.name to the module
  bool wants_unrolling() const { return unrolls_; }  // some loop asked for it

 private:
  // emit_control.cpp: statements and registers
  void scan(const ir::Block& block, bool repeated);
  void emit(const ir::Block& block);
  void emit(const ir::If& branch);
  void emit(const ir::Loop& loop);
  void emit(const ir::Instruction& instruction);
  void jump(llvm::BasicBlock* target);
  llvm::BasicBlock* new_block(const char* name);
  Value* operand(const ir::Operand& operand);
  void define(ir::Reg reg, Value* value);
  Values lower(const ir::Instruction& instruction);  // the results, one a register
  [[noreturn]] void fail(std::string_view reason) const;

  // The i-th operand of the current instruction and its type; the type of its i-th result.
  Value* in(size_t i);
  ir::Type in_type(size_t i) const;
  ir::Type out_type(size_t i = 0) const;
  int64_t attribute(size_t i) const;

  // emit_arithmetic.cpp
  Value* emit_arithmetic();
  Value* binary(ir::Semantic semantic, Value* a, Value* b, ir::Type type);
  Value* integer_divide(bool remainder, Value* a, Value* b, bool is_signed);
  Value* shift(bool left, Value* a, Value* count, bool is_signed);
  Value* compare(ir::Comparison comparison, Value* a, Value* b, ir::Type type);
  Value* reduce(ir::Semantic semantic, Value* v, ir::Type type);

  // emit_convert.cpp
  Value* convert(Value* v, ir::Type from, ir::Type to, bool nearest);
  Value* to_real(Value* v, ir::Type type);    // held -> f32, f64, or half where the machine computes in it
  Value* from_real(Value* v, ir::Type type);  // the way back, rounded
  Value* float_to_integer(Value* v, ir::Type to, bool nearest);
  Value* integer_to_float(Value* v, ir::Type from, ir::Type to);
  Value* fence(Value* v);
  Value* f32_from_f16(Value* v);
  Value* f16_from_f32(Value* v);
  Value* bf16_from_f32(Value* v);
  Value* f32_from_e4m3(Value* v);
  Value* small_from_f32(Value* v, int mantissa_bits, int bias, double maximum, int nan_code);
  Value* f32_from_e2m1(Value* v, int lanes);
  Value* e2m1_from_f32(Value* v);

  // emit_math.cpp: f32 functions of any number of lanes
  Value* emit_math();
  Value* exp2(Value* x);
  Value* log2(Value* x);
  Value* tanh(Value* x);
  Value* sin_or_cos(Value* x, bool cosine);
  Value* fma(Value* a, Value* b, Value* c);
  Value* polynomial(Value* x, std::initializer_list<double> coefficients);  // lowest power first

  // emit_memory.cpp
  Values emit_memory();
  Value* address(Value* base, int64_t offset);
  Value* special(ir::Special special);
  Value* parameter(int64_t index, ir::Type type);

  // emit_lanes.cpp: shuffles, dot products, lookups, tiles
  Values emit_lanes();
  Value* dot_bf16(Value* sum, Value* a, Value* b);
  Value* dot_u8s8(Value* sum, Value* a, Value* b, bool small);
  Value* lookup16(Value* table, Value* index);
  void tile();
  Value* concat(Values parts);
  Value* slice(Value* v, int first, int count);  // lanes beyond the end have no meaning
  // Calls `piece` on every `width` result lanes; an argument has a whole number of lanes per result lane.
  Value* by_pieces(int lanes, int width, const Values& arguments,
                   const std::function<Value*(const Values&)>& piece);
  // Result lanes that fill the machine's best register for `lanes` lanes of `bits` bits.
  int piece_lanes(int lanes, int bits) const;

  // Types and constants
  llvm::Type* held(ir::Type type);
  llvm::Type* with_lanes(llvm::Type* element, int lanes);
  llvm::Type* ints(int bits, Value* like) { return with_lanes(b_.getIntNTy(bits), lanes_of(like)); }
  llvm::Type* floats(Value* like) { return with_lanes(b_.getFloatTy(), lanes_of(like)); }
  static int lanes_of(Value* v);
  static Value* real(Value* like, double value);  // a constant of the same type as `like`
  static Value* integer(Value* like, uint64_t value);
  Value* splat(Value* v, int lanes);
  Value* vector_of(Value* v);  // a scalar as a vector of one lane
  Value* call(llvm::Intrinsic::ID id, llvm::ArrayRef<llvm::Type*> types, llvm::ArrayRef<Value*> arguments) {
    return b_.CreateIntrinsic(id, types, arguments);
  }

  struct LoopTargets {
    llvm::BasicBlock *next, *leave;
  };

  const ir::Kernel& kernel_;
  const ir::X86Features features_;
  llvm::Module& module_;
  llvm::LLVMContext& context_;
  llvm::IRBuilder<> b_;
  llvm::Function* function_ = nullptr;
  llvm::BasicBlock* exit_ = nullptr;
  std::vector<LoopTargets> loops_;
  const ir::Instruction* current_ = nullptr;
  Values registers_;  // the value of a register, or the stack slot of one that is written more than once
  std::vector<uint8_t> writes_;  // static number of writes, at most 2
  bool unrolls_ = false;
};

}  // namespace rose::codegen::x86
