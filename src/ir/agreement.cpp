#include "ir/agreement.h"

#include <bit>

#include "ir/verifier.h"

namespace rose::ir::verifier {
namespace {

// The greatest s for which 2^s divides the number; 10 (a whole block) for zero.
int granularity(int64_t number) { return number == 0 ? 10 : std::countr_zero(static_cast<uint64_t>(number)); }

bool is_power_of_two(const Operand& o) {
  return o.is_constant() && constant_int(o) > 0 &&
         std::has_single_bit(static_cast<uint64_t>(constant_int(o)));
}

}  // namespace

Agreements::Agreements(const Kernel& kernel)
    : kernel_(kernel),
      threads_(total_threads(kernel)),
      levels_(kernel.registers.size(), Agreement::kBlock),
      numbers_(kernel.registers.size()) {
  // Levels only rise, so this ends; loops carry a rise back to their beginning in the next round.
  do {
    changed_ = false;
    block(kernel.body, Agreement::kBlock);
  } while (changed_);
}

Agreement Agreements::of(const Operand& operand) const {
  return operand.is_constant() ? Agreement::kBlock : levels_[operand.reg];
}

Agreement Agreements::of_groups(int shift) const {
  if (shift >= 10 || threads_ <= (1 << shift)) return Agreement::kBlock;
  return shift >= 7 ? Agreement::kWarpgroup : shift >= 5 ? Agreement::kWarp : Agreement::kThread;
}

Agreement Agreements::of_boundary(int64_t thread) const {
  if (thread <= 0 || thread >= threads_) return Agreement::kBlock;
  return of_groups(granularity(thread));
}

Agreement Agreements::of_condition(const If& branch) const {
  if (branch.role.name.empty()) return of(branch.condition);
  return weaker(of_boundary(branch.role.first_thread),
                of_boundary(branch.role.first_thread + branch.role.threads));
}

Agreement Agreements::of_loop(const Loop& loop) const {
  const auto found = breaks_.find(&loop);
  return weaker(of(loop.condition), found == breaks_.end() ? Agreement::kBlock : found->second);
}

void Agreements::block(const Block& statements, Agreement control) {
  for (const auto& statement : statements) {
    switch (statement.kind) {
      case Statement::Kind::kInstruction:
        instruction(statement.instruction, control);
        break;
      case Statement::Kind::kIf: {
        const Agreement inner = weaker(control, of_condition(*statement.branch));
        block(statement.branch->then, inner);
        block(statement.branch->otherwise, inner);
        break;
      }
      case Statement::Kind::kLoop: {
        const Loop& loop = *statement.loop;
        loops_.push_back(&loop);
        block(loop.test, weaker(control, of_loop(loop)));
        const Agreement inner = weaker(control, of_loop(loop));
        block(loop.body, inner);
        block(loop.step, inner);
        loops_.pop_back();
        break;
      }
      case Statement::Kind::kBreak:
      case Statement::Kind::kContinue: {
        if (loops_.empty()) break;
        Agreement& weakest = breaks_[loops_.back()];
        if (control > weakest) weakest = control, changed_ = true;
        break;
      }
      case Statement::Kind::kReturn:
        break;
    }
  }
}

void Agreements::assign(Reg reg, Agreement value, Agreement control) {
  // A value that is assigned once is only read where it was assigned, so the control above does not matter to
  // it.
  const Agreement level = kernel_.registers[reg].mutable_ ? weaker(value, control) : value;
  if (level > levels_[reg]) levels_[reg] = level, changed_ = true;
}

void Agreements::instruction(const Instruction& i, Agreement control) {
  if (i.guard.reg != kNoReg) control = weaker(control, levels_[i.guard.reg]);
  if (i.results.empty()) return;
  const auto number = thread_number(i);
  const Agreement value = number ? of_groups(number->shift) : value_of(i);
  for (Reg reg : i.results) {
    Agreement level = value;
    if (i.guard.reg != kNoReg) level = weaker(level, levels_[i.guard.reg]);
    assign(reg, level, control);
    if (number && !kernel_.registers[reg].mutable_) numbers_[reg] = number;
  }
}

std::optional<ThreadNumber> Agreements::thread_number(const Operand& operand) const {
  if (operand.is_constant()) return std::nullopt;
  return numbers_[operand.reg];
}

std::optional<ThreadNumber> Agreements::thread_number(const Instruction& i) const {
  const bool flat = kernel_.threads[1] == 1 && kernel_.threads[2] == 1;
  if (i.row->semantic == Semantic::kSpecial) {
    const auto special = static_cast<Special>(i.attributes[0]);
    if (special == Special::kThreadX && flat) return ThreadNumber{};
    if (special == Special::kWarp) return ThreadNumber{5, 0};
    return std::nullopt;
  }
  if (i.operands.empty()) return std::nullopt;
  auto number = thread_number(i.operands[0]);
  // Another lane of the same warp has the same number of the warp.
  if (i.row->name == "shfl.idx" && number && number->shift >= 5) return number;
  const auto constant_at = [&](size_t n) { return i.operands.size() > n && i.operands[n].is_constant(); };
  switch (i.row->semantic) {
    case Semantic::kMove:
      return number;
    case Semantic::kConvert:
    case Semantic::kBitcast:  // thread numbers fit in 16 bits
      if (!number || !i.operands[0].type.is_integer()) return std::nullopt;
      for (Reg r : i.results)
        if (!kernel_.registers[r].type.is_integer() || kernel_.registers[r].type.bits() < 16)
          return std::nullopt;
      return number;
    case Semantic::kAdd:
      if (!number && i.operands.size() > 1 && constant_at(0)) {
        number = thread_number(i.operands[1]);
        if (number) number->offset += constant_int(i.operands[0]);
        return number;
      }
      if (!number || !constant_at(1)) return std::nullopt;
      number->offset += constant_int(i.operands[1]);
      return number;
    case Semantic::kSub:
      if (!number || !constant_at(1)) return std::nullopt;
      number->offset -= constant_int(i.operands[1]);
      return number;
    case Semantic::kShr:
    case Semantic::kDiv: {
      if (!number || !constant_at(1) || number->offset != 0) return std::nullopt;
      if (i.row->semantic == Semantic::kDiv && !is_power_of_two(i.operands[1])) return std::nullopt;
      const int64_t amount = constant_int(i.operands[1]);
      number->shift += i.row->semantic == Semantic::kShr ? static_cast<int>(std::min<int64_t>(amount, 31))
                                                         : granularity(amount);
      return number;
    }
    default:
      return std::nullopt;
  }
}

// thread number ? constant: the threads on which the answer changes decide who agrees.
Agreement Agreements::compare(const Instruction& i) const {
  Agreement joined = weaker(of(i.operands[0]), of(i.operands[1]));
  auto comparison = static_cast<Comparison>(i.attributes[0]);
  bool swapped = i.operands[0].is_constant();
  const auto number = thread_number(i.operands[swapped ? 1 : 0]);
  const Operand& bound = i.operands[swapped ? 0 : 1];
  if (!number || !bound.is_constant()) return joined;
  if (swapped) {
    if (comparison == Comparison::kLt)
      comparison = Comparison::kGt;
    else if (comparison == Comparison::kLe)
      comparison = Comparison::kGe;
    else if (comparison == Comparison::kGt)
      comparison = Comparison::kLt;
    else if (comparison == Comparison::kGe)
      comparison = Comparison::kLe;
  }
  const int64_t group = constant_int(bound) - number->offset;  // the group of threads at the bound
  if (group < 0 || group > 1024) return number->offset < 0 ? joined : Agreement::kBlock;
  const int64_t first = group << number->shift, next = (group + 1) << number->shift;
  Agreement result = Agreement::kBlock;
  switch (comparison) {
    case Comparison::kLt:
    case Comparison::kGe:
      result = of_boundary(first);
      break;
    case Comparison::kGt:
    case Comparison::kLe:
      result = of_boundary(next);
      break;
    case Comparison::kEq:
    case Comparison::kNe:
      result = weaker(of_boundary(first), of_boundary(next));
      break;
  }
  // Unsigned numbers below zero wrap round to the top: one more boundary.
  if (number->offset < 0) result = weaker(result, of_boundary(-number->offset << number->shift));
  return result;
}

Agreement Agreements::value_of(const Instruction& i) {
  Agreement joined = Agreement::kBlock;
  for (const Operand& o : i.operands) joined = weaker(joined, of(o));
  const Row& row = *i.row;
  switch (row.semantic) {
    case Semantic::kParameter:
    case Semantic::kSharedBase:
      return Agreement::kBlock;
    case Semantic::kSpecial: {
      const auto special = static_cast<Special>(i.attributes[0]);
      switch (special) {
        case Special::kThreadX:
        case Special::kLane:
        case Special::kClock64:
        case Special::kGlobalTimer:
          return Agreement::kThread;
        case Special::kThreadY:
          return of_groups(granularity(kernel_.threads[0]));
        case Special::kThreadZ:
          return of_groups(granularity(int64_t{kernel_.threads[0]} * kernel_.threads[1]));
        default:
          return Agreement::kBlock;
      }
    }
    case Semantic::kCompare:
      return compare(i);
    case Semantic::kAnd:  // clears the low bits of a thread number
      if (i.operands[1].is_constant())
        if (const auto number = thread_number(i.operands[0]); number && number->offset == 0)
          return of_groups(number->shift + granularity(constant_int(i.operands[1])));
      return joined;
    case Semantic::kDiv:  // groups of any size: thread / 96 agrees in a warp
      if (i.operands[1].is_constant() && constant_int(i.operands[1]) > 0)
        if (const auto number = thread_number(i.operands[0]); number && number->offset == 0)
          return of_groups(number->shift + granularity(constant_int(i.operands[1])));
      return joined;
    default:
      break;
  }
  // Exchanges inside a warp.
  if (row.name.starts_with("vote.") || row.name.starts_with("redux.")) return Agreement::kWarp;
  if (row.name.starts_with("bar.red."))
    return row.name.ends_with(".n") ? Agreement::kWarp : Agreement::kBlock;
  if (row.name.starts_with("shfl.")) {
    if (of(i.operands[0]) <= Agreement::kWarp && !row.name.ends_with(".valid")) return of(i.operands[0]);
    const bool one_lane = row.name == "shfl.idx" && of(i.operands[1]) <= Agreement::kWarp;
    return one_lane ? Agreement::kWarp : Agreement::kThread;
  }
  if (row.convergence != Convergence::kThread) return Agreement::kThread;  // matrix fragments, elections
  if (row.effects.sync || (row.effects.reads && row.effects.writes))
    return Agreement::kThread;  // atomics, waits
  return joined;
}

}  // namespace rose::ir::verifier
