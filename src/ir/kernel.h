// What a kernel is: typed virtual registers and structured blocks of instructions. Recorded by the dsl room,
// improved by passes, checked by the verifier, printed, and handed to a code generator. Plain data; no
// behaviour hides here.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ir/error.h"
#include "ir/operation.h"

namespace rose::ir {

using Reg = uint32_t;
inline constexpr Reg kNoReg = ~0u;

// A register is single-assignment (a Val) unless `mutable_` (a Var).
struct RegInfo {
  Type type;
  bool mutable_ = false;
};

// A register or a constant. `bits` holds the constant's bit pattern in the operand's type, one lane, zero
// extended; a constant with several lanes repeats it in each lane.
struct Operand {
  Reg reg = kNoReg;
  Type type;
  uint64_t bits = 0;

  bool is_constant() const { return reg == kNoReg; }
  bool operator==(const Operand&) const = default;
};

Operand constant(Type type,
                 int64_t value);            // integer and predicate types; throws when the value does not fit
Operand constant(Type type, double value);  // floating-point types, rounded to nearest even
int64_t constant_int(const Operand& operand);  // sign extended for signed types
double constant_float(const Operand& operand);

struct Guard {  // "@p" or "@!p"
  Reg reg = kNoReg;
  bool negated = false;
};

struct Instruction {
  const Row* row = nullptr;
  Type type;  // the instance of `t`
  std::vector<Reg> results;
  std::vector<Operand> operands;
  std::vector<int64_t> attributes;
  Guard guard;
  SourceLine where;
};

struct Statement;
using Block = std::vector<Statement>;

// A set of threads that runs one branch alone (warp specialisation).
struct Role {
  std::string name;  // empty: an ordinary If
  int first_thread = 0, threads = 0;
  int registers = 0;  // setmaxnreg value; 0: unchanged
};

struct If {
  Operand condition;  // pred
  Block then, otherwise;
  Role role;
};

// while (condition()) { body; step; }: `test` computes `condition`; Continue jumps to `step`; Break leaves.
struct Loop {
  Block test, body, step;
  Operand condition;     // pred; a constant true makes an endless loop
  bool entered = false;  // the first test is known to be true
  int unroll = 0;        // 0: the target decides, 1: never
};

struct Statement {
  enum class Kind : uint8_t { kInstruction, kIf, kLoop, kBreak, kContinue, kReturn };
  Kind kind = Kind::kInstruction;
  Instruction instruction;
  std::unique_ptr<If> branch;
  std::unique_ptr<Loop> loop;
  SourceLine where;

  Statement() = default;
  Statement(Instruction i) : instruction(std::move(i)) { where = instruction.where; }
  Statement(Statement&&) = default;
  Statement& operator=(Statement&&) = default;
  Statement(const Statement&);  // deep copies
  Statement& operator=(const Statement&);
};

struct Parameter {
  enum class Kind : uint8_t { kPointer, kScalar, kTensorMap };
  std::string name;
  Kind kind = Kind::kPointer;
  Type type;          // element type behind a pointer, or the scalar's own type
  int bytes() const;  // 8, the scalar's size, or 128
};

// What a pipeline promises about one of its mbarriers, for the verifier: it recounts both sums from the
// parts.
struct BarrierFact {
  struct Arrival {
    std::string role;  // the role whose threads arrive; empty: code outside all roles
    int arrivals = 1;  // per phase and block: 1 for an elected thread, 32 for a warp, all threads, …
    int blocks = 1;    // blocks of the cluster that arrive on this block's barrier
  };
  struct Copy {
    std::string tensor;  // for messages
    int64_t bytes = 0;   // one box, as it lands in this block's shared memory
    int boxes = 1;       // per phase and issuing block
    int blocks = 1;      // issuing blocks: more than one when each multicasts its part to all
  };
  std::string name;
  int arrivals = 1;             // the count given to mbarrier.init
  int64_t bytes_per_phase = 0;  // announced to the barrier with expect_tx; 0: no copies
  std::vector<Arrival> arrive;
  std::vector<Copy> copies;
  SourceLine where;
};

// A layout that the kernel was written with, for people: `rose kernels show --emit layouts` prints it. Code
// does not depend on it.
struct LayoutNote {
  std::string name;    // "sA", or "row: (thread, value) -> element"
  std::string layout;  // in CuTe's notation; layout::parse reads it
};

struct Kernel {
  std::string name;  // a symbol: letters, digits and '_'
  Target target;
  std::vector<Parameter> parameters;
  std::array<int, 3> threads{1, 1, 1};
  std::array<int, 3> cluster{1, 1, 1};
  int min_blocks = 0;        // resident blocks per multiprocessor asked for; 0: unsaid
  int64_t shared_bytes = 0;  // dynamic shared memory; on x86, scratch memory of one thread
  int shared_alignment = 16;
  bool cooperative = false, pdl = false;
  std::vector<BarrierFact> barriers;
  std::vector<LayoutNote> layouts;
  std::vector<RegInfo> registers;
  Block body;

  Reg new_register(Type type, bool is_mutable = false);
};

// Text form: one statement a line, blocks indented, "// file:line" where the line changes.
std::string to_string(const Kernel& kernel);
std::string to_string(const Instruction& instruction, const Kernel& kernel);
int64_t instruction_count(const Block& block);

// Throws IrError with the source line and the arithmetic of the first broken rule (verifier*.cpp lists the
// rules).
void verify(const Kernel& kernel);

// One named pass of the list below.
struct Pass {
  const char* name;
  void (*run)(Kernel&);
};
// The passes in the order in which they run: folding, common subexpressions, strength reduction, dead code.
const std::vector<Pass>& passes();
// Runs them all; calls `after(name, kernel)` after each when given.
void optimize(Kernel& kernel, void (*after)(const char* pass, const Kernel&, void* user) = nullptr,
              void* user = nullptr);

}  // namespace rose::ir
