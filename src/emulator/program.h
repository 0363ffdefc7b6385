// A kernel prepared for running: the same blocks of statements, with each operation's row looked up once.
// Private to the emulator.
#pragma once

#include <memory>
#include <vector>

#include "ir/kernel.h"

namespace rose::emulator {

class Warp;
struct Code;

enum class Outcome { kDone, kBlocked };  // blocked: the warp tries again later
using Handler = Outcome (*)(Warp& warp, const Code& code);

struct Source {
  ir::Reg reg = ir::kNoReg;
  ir::Type type;
  uint64_t bits = 0;  // of a constant, all lanes of its type
};

struct Code {
  Handler handler = nullptr;
  const ir::Instruction* instruction = nullptr;
  std::vector<Source> in;
  std::vector<ir::Reg> out;
  ir::Type type, out_type;          // of the row's instance, and of the first result
  int a = 0, b = 0;                 // what a handler has worked out of the row's name
  bool whole_warp = false;          // all lanes that still run must reach it together
  bool reads_accumulators = false;  // wgmma may touch registers of products under way

  int64_t attribute(size_t i) const { return instruction->attributes.at(i); }
};

struct Node;
using Nodes = std::vector<Node>;

struct Node {
  ir::Statement::Kind kind;
  const ir::Statement* statement;
  Code code;                   // kInstruction
  Source condition;            // kIf, kLoop
  Nodes first, second, third;  // then, otherwise; test, body, step
};

struct Program {
  explicit Program(const ir::Kernel& kernel);  // throws EmulatorError for rows without a handler
  const ir::Kernel& kernel;
  Nodes body;
};

/// How a row runs; null when the emulator does not know it. Fills in what the handler wants to know.
Handler arithmetic_handler(const ir::Row& row, Code& code);
Handler conversion_handler(const ir::Row& row, Code& code);
Handler memory_handler(const ir::Row& row, Code& code);
Handler synchronization_handler(const ir::Row& row, Code& code);
Handler barrier_handler(const ir::Row& row, Code& code);
Handler async_handler(const ir::Row& row, Code& code);
Handler matrix_handler(const ir::Row& row, Code& code);

}  // namespace rose::emulator
