#include <bit>

#include "ir/passes.h"
#include "ir/walk.h"

namespace rose::ir {
namespace {

// Multiplications, unsigned divisions and remainders by powers of two.
void to_shifts(Instruction& i) {
  bool candidate = i.operands.size() == 2 && i.type.is_integer() && i.type.lanes == 1;
  if (!candidate || !i.operands[1].is_constant()) return;
  uint64_t value = i.operands[1].bits;
  if (!std::has_single_bit(value) || (i.type.is_signed() && constant_int(i.operands[1]) < 0)) return;
  Operand count = constant(u32, static_cast<int64_t>(std::countr_zero(value)));
  switch (i.row->semantic) {
    case Semantic::kMul:
      i.row = &operation("shl"), i.operands[1] = count;
      break;
    case Semantic::kDiv:
      if (!i.type.is_signed()) i.row = &operation("shr"), i.operands[1] = count;
      break;
    case Semantic::kRem:
      if (!i.type.is_signed()) i.row = &operation("and"), i.operands[1] = {kNoReg, i.type, value - 1};
      break;
    default:
      break;
  }
}

class Reducer {
 public:
  explicit Reducer(Kernel& kernel) : kernel_(kernel) {}

  void block(Block& statements) {
    for (size_t k = 0; k < statements.size(); ++k) {
      Statement& s = statements[k];
      if (s.kind == Statement::Kind::kInstruction) to_shifts(s.instruction);
      if (s.branch) block(s.branch->then), block(s.branch->otherwise);
      if (s.loop) {
        Block before = loop(*s.loop);
        k += before.size();
        statements.insert(statements.begin() + static_cast<ptrdiff_t>(k - before.size()),
                          std::make_move_iterator(before.begin()), std::make_move_iterator(before.end()));
        Loop& l = *statements[k].loop;
        block(l.test), block(l.body), block(l.step);
      }
    }
  }

 private:
  static Statement make(const char* row, Type type, Reg result, std::vector<Operand> operands,
                        const SourceLine& where) {
    Instruction i;
    i.row = &operation(row), i.type = type, i.results = {result}, i.operands = std::move(operands),
    i.where = where;
    return Statement(std::move(i));
  }

  // A loop whose step is `counter += constant`: 64-bit products counter * constant in its body become a
  // variable that the step advances. (32-bit products cost no more than the addition.) Returns what must run
  // before the loop.
  Block loop(Loop& l) {
    Block before;
    Reg counter = kNoReg;
    int64_t step = 0;
    if (l.step.size() == 2 && l.step[0].kind == Statement::Kind::kInstruction &&
        l.step[1].kind == Statement::Kind::kInstruction) {
      const Instruction &add = l.step[0].instruction, &move = l.step[1].instruction;
      if (add.row->semantic == Semantic::kAdd && move.row->semantic == Semantic::kMove &&
          !add.operands[0].is_constant() && add.operands[1].is_constant() &&
          move.results[0] == add.operands[0].reg && move.operands[0].reg == add.results[0] &&
          add.guard.reg == kNoReg && move.guard.reg == kNoReg) {
        counter = move.results[0];
        step = constant_int(add.operands[1]);
      }
    }
    if (counter == kNoReg) return before;
    Type counted = kernel_.registers[counter].type;
    if (!counted.is_integer() || counted.bits() != 64)
      return before;        // sums of rounded floats are no products
    bool assigned = false;  // a loop that assigns the counter elsewhere is left alone
    auto look = [&](const Statement& s) {
      for (Reg r : s.instruction.results) assigned |= r == counter;
    };
    walk(l.test, look), walk(l.body, look);
    if (assigned) return before;
    std::vector<Reg> copies;
    for (Statement& s : l.body) {
      if (s.kind != Statement::Kind::kInstruction) continue;
      Instruction& i = s.instruction;
      if (i.row->semantic == Semantic::kMove && !i.operands[0].is_constant() &&
          i.operands[0].reg == counter && !kernel_.registers[i.results[0]].mutable_)
        copies.push_back(i.results[0]);
      bool product = i.row->semantic == Semantic::kMul && i.guard.reg == kNoReg &&
                     i.operands[1].is_constant() && !i.operands[0].is_constant() &&
                     !std::has_single_bit(i.operands[1].bits) && !kernel_.registers[i.results[0]].mutable_;
      if (!product || std::find(copies.begin(), copies.end(), i.operands[0].reg) == copies.end()) continue;
      Type type = kernel_.registers[counter].type;
      Reg running = kernel_.new_register(type, true), first = kernel_.new_register(type),
          next = kernel_.new_register(type);
      Operand factor = i.operands[1];
      before.push_back(make("mul.lo", type, first, {{counter, type, 0}, factor}, i.where));
      before.push_back(make("mov", type, running, {{first, type, 0}}, i.where));
      l.step.push_back(make("add", type, next,
                            {{running, type, 0}, {kNoReg, type, static_cast<uint64_t>(step) * factor.bits}},
                            i.where));
      l.step.push_back(make("mov", type, running, {{next, type, 0}}, i.where));
      i.row = &operation("mov"), i.operands = {{running, type, 0}};
    }
    return before;
  }

  Kernel& kernel_;
};

}  // namespace

void reduce_strength(Kernel& kernel) { Reducer(kernel).block(kernel.body); }

}  // namespace rose::ir
