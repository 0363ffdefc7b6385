#include "emulator/program.h"

#include <fmt/format.h>

#include "emulator/error.h"

namespace rose::emulator {
namespace {

Source source_of(const ir::Operand& operand) {
  Source s{operand.reg, operand.type, operand.bits};
  // A constant repeats its one lane.
  if (operand.is_constant() && operand.type.lanes > 1)
    for (int lane = 1; lane < operand.type.lanes; ++lane)
      s.bits |= operand.bits << (lane * operand.type.scalar_bits());
  return s;
}

Code code_of(const ir::Instruction& instruction, const ir::Kernel& kernel) {
  const ir::Row& row = *instruction.row;
  Code code;
  code.instruction = &instruction;
  code.type = instruction.type;
  for (const auto& operand : instruction.operands) code.in.push_back(source_of(operand));
  code.out = instruction.results;
  if (!code.out.empty()) code.out_type = kernel.registers[code.out[0]].type;
  // Those with a mask of lanes check it themselves; a cluster's barrier may be reached lane by lane.
  const bool masked = row.name.starts_with("shfl.") || row.name.starts_with("vote.") ||
                      row.name.starts_with("match.") || row.name.starts_with("redux.") ||
                      row.name.starts_with("elect.") || row.name == "bar.warp.sync" ||
                      row.name == "barrier.sync.n" || row.name == "barrier.arrive" ||
                      (row.name.starts_with("cluster.") && !row.name.ends_with(".aligned"));
  code.whole_warp = row.convergence != ir::Convergence::kThread && !masked;
  for (auto find : {arithmetic_handler, conversion_handler, memory_handler, synchronization_handler,
                    barrier_handler, async_handler, matrix_handler}) {
    code.handler = find(row, code);
    if (code.handler) return code;
  }
  throw EmulatorError(fmt::format("{}: {}: the emulator does not know {}", kernel.name,
                                  instruction.where.to_string(), row.name));
}

Nodes nodes_of(const ir::Block& block, const ir::Kernel& kernel) {
  Nodes nodes;
  nodes.reserve(block.size());
  for (const auto& statement : block) {
    Node node{statement.kind, &statement, {}, {}, {}, {}, {}};
    switch (statement.kind) {
      case ir::Statement::Kind::kInstruction:
        node.code = code_of(statement.instruction, kernel);
        break;
      case ir::Statement::Kind::kIf:
        node.condition = source_of(statement.branch->condition);
        node.first = nodes_of(statement.branch->then, kernel);
        node.second = nodes_of(statement.branch->otherwise, kernel);
        break;
      case ir::Statement::Kind::kLoop:
        node.condition = source_of(statement.loop->condition);
        node.first = nodes_of(statement.loop->test, kernel);
        node.second = nodes_of(statement.loop->body, kernel);
        node.third = nodes_of(statement.loop->step, kernel);
        break;
      default:
        break;
    }
    nodes.push_back(std::move(node));
  }
  return nodes;
}

}  // namespace

Program::Program(const ir::Kernel& k) : kernel(k), body(nodes_of(k.body, k)) {}

}  // namespace rose::emulator
