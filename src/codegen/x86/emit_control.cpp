// Statements, registers and blocks: the frame into which the other files put each operation's code.
#include "codegen/x86/emitter.h"

#include <llvm/IR/Constants.h>
#include <llvm/IR/MDBuilder.h>

#include <fmt/format.h>

namespace rose::codegen::x86 {

using Kind = ir::Statement::Kind;

Emitter::Emitter(const ir::Kernel& kernel, llvm::Module& module)
    : kernel_(kernel),
      features_(kernel.target.x86),
      module_(module),
      context_(module.getContext()),
      b_(context_) {
  llvm::FastMathFlags flags;
  flags.setAllowContract();
  b_.setFastMathFlags(flags);
  registers_.resize(kernel.registers.size());
  writes_.resize(kernel.registers.size());
}

void Emitter::run() {
  auto* pointer = b_.getPtrTy();
  auto* i64 = b_.getInt64Ty();
  auto* type = llvm::FunctionType::get(b_.getVoidTy(), {pointer, i64, i64, i64, pointer}, false);
  function_ = llvm::Function::Create(type, llvm::Function::ExternalLinkage, kernel_.name, module_);
  function_->setDoesNotThrow();
  function_->addFnAttr("prefer-vector-width", features_.avx512 ? "512" : "256");
  function_->addFnAttr("min-legal-vector-width", features_.avx512 ? "512" : "256");
  function_->addParamAttr(0, llvm::Attribute::NoAlias);
  function_->addParamAttr(0, llvm::Attribute::ReadOnly);
  const char* names[] = {"arguments", "block_x", "block_y", "block_z", "scratch"};
  for (unsigned i = 0; i < 5; ++i) function_->getArg(i)->setName(names[i]);

  exit_ = new_block("exit");
  auto* entry = llvm::BasicBlock::Create(context_, "entry", function_, exit_);
  b_.SetInsertPoint(entry);
  scan(kernel_.body, false);
  for (ir::Reg reg = 0; reg < registers_.size(); ++reg)
    if (writes_[reg] && (writes_[reg] > 1 || kernel_.registers[reg].mutable_)) {
      registers_[reg] = b_.CreateAlloca(held(kernel_.registers[reg].type));
      b_.CreateStore(llvm::Constant::getNullValue(held(kernel_.registers[reg].type)), registers_[reg]);
      writes_[reg] = 2;
    }
  emit(kernel_.body);
  b_.CreateBr(exit_);
  b_.SetInsertPoint(exit_);
  b_.CreateRetVoid();
}

// Counts the writes of each register. What is written twice, under a guard, or by code that is emitted twice
// lives in a stack slot, from which LLVM makes registers again.
void Emitter::scan(const ir::Block& block, bool repeated) {
  for (const auto& statement : block) {
    if (statement.kind == Kind::kInstruction)
      for (auto reg : statement.instruction.results) {
        if (reg >= writes_.size())
          throw CodegenError(fmt::format("register {} does not exist", reg), statement.where);
        bool many = repeated || statement.instruction.guard.reg != ir::kNoReg;
        writes_[reg] = static_cast<uint8_t>(std::min(2, writes_[reg] + (many ? 2 : 1)));
      }
    if (statement.branch) scan(statement.branch->then, repeated), scan(statement.branch->otherwise, repeated);
    if (statement.loop) {
      scan(statement.loop->test, true);
      scan(statement.loop->body, repeated), scan(statement.loop->step, repeated);
    }
  }
}

void Emitter::emit(const ir::Block& block) {
  for (const auto& statement : block) {
    switch (statement.kind) {
      case Kind::kInstruction:
        emit(statement.instruction);
        break;
      case Kind::kIf:
        emit(*statement.branch);
        break;
      case Kind::kLoop:
        emit(*statement.loop);
        break;
      case Kind::kReturn:
        jump(exit_);
        break;
      case Kind::kBreak:
      case Kind::kContinue:
        if (loops_.empty()) throw CodegenError("break or continue outside of a loop", statement.where);
        jump(statement.kind == Kind::kBreak ? loops_.back().leave : loops_.back().next);
        break;
    }
  }
}

llvm::BasicBlock* Emitter::new_block(const char* name) {
  return llvm::BasicBlock::Create(context_, name, function_, exit_);
}

// Leaves for `target`; code that follows in the same block of statements is unreachable.
void Emitter::jump(llvm::BasicBlock* target) {
  b_.CreateBr(target);
  b_.SetInsertPoint(new_block("after"));
}

void Emitter::emit(const ir::If& branch) {
  auto *then = new_block("then"), *join = new_block("join");
  auto* otherwise = branch.otherwise.empty() ? join : new_block("else");
  b_.CreateCondBr(operand(branch.condition), then, otherwise);
  b_.SetInsertPoint(then);
  emit(branch.then);
  b_.CreateBr(join);
  if (otherwise != join) {
    b_.SetInsertPoint(otherwise);
    emit(branch.otherwise);
    b_.CreateBr(join);
  }
  b_.SetInsertPoint(join);
}

// The test is emitted twice, before the loop and at its end: the form from which LLVM hoists invariant code.
void Emitter::emit(const ir::Loop& loop) {
  auto *body = new_block("loop"), *step = new_block("step"), *leave = new_block("leave");
  emit(loop.test);
  auto* enter = loop.entered ? b_.getTrue() : operand(loop.condition);
  b_.CreateCondBr(enter, body, leave);

  loops_.push_back({step, leave});
  b_.SetInsertPoint(body);
  emit(loop.body);
  b_.CreateBr(step);
  b_.SetInsertPoint(step);
  emit(loop.step);
  emit(loop.test);
  auto* again = b_.CreateCondBr(operand(loop.condition), body, leave);
  loops_.pop_back();

  if (loop.unroll > 1) {
    unrolls_ = true;
    llvm::MDBuilder metadata(context_);
    auto* count = llvm::MDNode::get(context_, {metadata.createString("llvm.loop.unroll.count"),
                                               metadata.createConstant(b_.getInt32(loop.unroll))});
    auto* id = llvm::MDNode::getDistinct(context_, {nullptr, count});
    id->replaceOperandWith(0, id);
    again->setMetadata("llvm.loop", id);
  }
  b_.SetInsertPoint(leave);
}

void Emitter::emit(const ir::Instruction& instruction) {
  current_ = &instruction;
  llvm::BasicBlock* join = nullptr;
  if (instruction.guard.reg != ir::kNoReg) {
    auto* execute = new_block("guarded");
    join = new_block("join");
    auto* guard = operand({instruction.guard.reg, ir::pred, 0});
    if (instruction.guard.negated) guard = b_.CreateNot(guard);
    b_.CreateCondBr(guard, execute, join);
    b_.SetInsertPoint(execute);
  }
  auto results = lower(instruction);
  if (results.size() != instruction.results.size())
    fail(fmt::format("it has {} results here and {} in the kernel", results.size(),
                     instruction.results.size()));
  for (size_t i = 0; i < results.size(); ++i) define(instruction.results[i], results[i]);
  if (join) {
    b_.CreateBr(join);
    b_.SetInsertPoint(join);
  }
  current_ = nullptr;
}

void Emitter::define(ir::Reg reg, Value* value) {
  if (value->getType() != held(kernel_.registers[reg].type))
    fail(fmt::format("its result does not fit a register of type {}",
                     ir::to_string(kernel_.registers[reg].type)));
  if (writes_[reg] > 1)
    b_.CreateStore(value, registers_[reg]);
  else
    registers_[reg] = value;
}

Value* Emitter::operand(const ir::Operand& operand) {
  if (operand.is_constant()) {
    auto element = operand.type.element();
    uint64_t bits = operand.bits;
    llvm::Constant* constant = nullptr;
    if (operand.type.scalar == ir::Scalar::kF32 || operand.type.scalar == ir::Scalar::kF64) {
      const auto& semantics =
          operand.type.scalar == ir::Scalar::kF32 ? llvm::APFloat::IEEEsingle() : llvm::APFloat::IEEEdouble();
      constant = llvm::ConstantFP::get(
          context_, llvm::APFloat(semantics, llvm::APInt(static_cast<unsigned>(element.bits()), bits)));
    } else {
      if (operand.type.scalar == ir::Scalar::kE2M1 && operand.type.lanes > 1) bits |= bits << 4;
      constant = llvm::ConstantInt::get(held(element), bits);
    }
    auto* type = held(operand.type);
    if (auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type))
      return llvm::ConstantVector::getSplat(vector->getElementCount(), constant);
    return constant;
  }
  auto where = current_ ? current_->where : ir::SourceLine{};
  if (operand.reg >= registers_.size())
    throw CodegenError(fmt::format("register {} does not exist", operand.reg), where);
  auto* value = registers_[operand.reg];
  if (!value) throw CodegenError(fmt::format("register {} is read before it is written", operand.reg), where);
  return writes_[operand.reg] > 1 ? b_.CreateLoad(held(kernel_.registers[operand.reg].type), value) : value;
}

void Emitter::fail(std::string_view reason) const {
  throw CodegenError(fmt::format("no x86 code for '{}' with type {}: {}", current_->row->name,
                                 ir::to_string(current_->type), reason),
                     current_->where);
}

Value* Emitter::in(size_t i) {
  if (i >= current_->operands.size()) fail(fmt::format("operand {} is missing", i));
  return operand(current_->operands[i]);
}

namespace {

// How a row reads or writes a register: integers of one width are one kind of register, and the row says
// which. `list` is the row's list of operands or results, "t*" standing for any number of them.
ir::Type as_the_row_says(const ir::Instruction& instruction, const std::vector<std::string>& list, size_t i,
                         ir::Type held) {
  if (!held.is_integer() || list.empty()) return held;
  const auto& token = list[std::min(i, list.size() - 1)];
  auto named = token.starts_with("t") ? instruction.type : held;
  if (token[0] == 'u' || token[0] == 's') named = token == "smem" ? held : ir::parse_type(token);
  if (!named.is_integer() || named.scalar_bits() != held.scalar_bits()) return held;
  return {named.scalar, held.lanes};
}

}  // namespace

ir::Type Emitter::in_type(size_t i) const {
  if (i >= current_->operands.size()) fail(fmt::format("operand {} is missing", i));
  const auto& operand = current_->operands[i];
  auto held = operand.is_constant() ? operand.type : kernel_.registers[operand.reg].type;
  return as_the_row_says(*current_, current_->row->signature.operands, i, held);
}

ir::Type Emitter::out_type(size_t i) const {
  if (i >= current_->results.size()) fail(fmt::format("result {} is missing", i));
  auto held = kernel_.registers[current_->results[i]].type;
  return as_the_row_says(*current_, current_->row->signature.results, i, held);
}

int64_t Emitter::attribute(size_t i) const {
  if (i >= current_->attributes.size()) fail(fmt::format("attribute {} is missing", i));
  return current_->attributes[i];
}

Values Emitter::lower(const ir::Instruction& instruction) {
  using enum ir::Semantic;
  if (!instruction.row->available.x86) fail("the operation exists on GPUs alone");
  switch (instruction.row->semantic) {
    case kMove:
    case kAdd:
    case kSub:
    case kMul:
    case kMulHigh:
    case kMulWide:
    case kDiv:
    case kRem:
    case kMin:
    case kMax:
    case kFma:
    case kNeg:
    case kAbs:
    case kNot:
    case kAnd:
    case kOr:
    case kXor:
    case kShl:
    case kShr:
    case kCompare:
    case kSelect:
    case kSqrt:
    case kRcp:
    case kRsqrt:
    case kFloor:
    case kRoundEven:
    case kReduceAdd:
    case kReduceMax:
    case kReduceMin:
      return {emit_arithmetic()};
    case kExp2:
    case kLog2:
    case kTanh:
    case kSin:
    case kCos:
      return {emit_math()};
    case kConvert:
      return {convert(in(0), in_type(0), out_type(), false)};
    case kConvertNearest:
      return {convert(in(0), in_type(0), out_type(), true)};
    case kBitcast:
    case kPack:
    case kUnpack:
    case kSplat:
    case kExtract:
    case kInsert:
    case kShuffle:
    case kDot:
    case kLookup16:
    case kTile:
      return emit_lanes();
    case kSpecial:
    case kParameter:
    case kSharedBase:
    case kLoad:
    case kStore:
    case kAtomicAdd:
    case kTrap:
    case kOpaque:
      return emit_memory();
  }
  fail("its meaning is unknown here");
}

llvm::Type* Emitter::held(ir::Type type) {
  using enum ir::Scalar;
  switch (type.scalar) {
    case kF32:
      return with_lanes(b_.getFloatTy(), type.lanes);
    case kF64:
      return with_lanes(b_.getDoubleTy(), type.lanes);
    case kE2M1:
      return with_lanes(b_.getInt8Ty(), (type.lanes + 1) / 2);
    case kNone:
      throw CodegenError("a register has no type");
    default:
      return with_lanes(b_.getIntNTy(static_cast<unsigned>(type.scalar_bits())), type.lanes);
  }
}

llvm::Type* Emitter::with_lanes(llvm::Type* element, int lanes) {
  return lanes == 1 ? element : llvm::FixedVectorType::get(element, static_cast<unsigned>(lanes));
}

int Emitter::lanes_of(Value* v) {
  auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(v->getType());
  return vector ? static_cast<int>(vector->getNumElements()) : 1;
}

Value* Emitter::real(Value* like, double value) { return llvm::ConstantFP::get(like->getType(), value); }
Value* Emitter::integer(Value* like, uint64_t value) {
  return llvm::ConstantInt::get(like->getType(), value);
}

}  // namespace rose::codegen::x86
