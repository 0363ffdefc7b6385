#include "hand_kernel.h"

namespace rose::ir::test {

HandKernel::HandKernel(int threads, Arch arch) {
  kernel.name = "hand";
  kernel.target.arch = arch;
  kernel.threads = {threads, 1, 1};
  kernel.shared_bytes = 4096;
}

void HandKernel::append(const std::string& row, Type type, std::vector<Reg> results,
                        std::vector<Operand> operands, std::vector<int64_t> attributes) {
  Instruction i;
  i.row = &operation(row);
  i.type = type;
  i.results = std::move(results);
  i.operands = std::move(operands);
  i.attributes = std::move(attributes);
  i.where = next_line();
  open().push_back(Statement(std::move(i)));
}

Operand HandKernel::emit(const std::string& row, Type type, std::vector<Operand> operands,
                         std::vector<int64_t> attributes) {
  std::string kind = operation(row).signature.results.at(0);
  kind = kind.substr(0, kind.find('*'));
  const Type result = kind == "t" ? type : parse_type(kind);
  const Reg reg = kernel.new_register(result);
  append(row, type, {reg}, std::move(operands), std::move(attributes));
  return {reg, result};
}

void HandKernel::inside(Block& block, const Body& body) {
  if (!body) return;
  blocks.push_back(&block);
  body();
  blocks.pop_back();
}

void HandKernel::branch(const Operand& condition, const Body& then, const Body& otherwise) {
  Statement s;
  s.kind = Statement::Kind::kIf;
  s.where = next_line();
  s.branch = std::make_unique<If>();
  s.branch->condition = condition;
  If& branch = *s.branch;  // stays where it is when the statement moves
  open().push_back(std::move(s));
  inside(branch.then, then);
  inside(branch.otherwise, otherwise);
}

void HandKernel::role(const std::string& name, int first, int threads, const Body& body, int registers) {
  const auto number = tid();
  const auto distance = emit("sub", u32, {number, constant32(first)});
  branch(less(distance, threads), {});
  If& branch = *open().back().branch;
  branch.role = {name, first, threads, registers};
  inside(branch.then, body);
}

void HandKernel::while_(const std::function<Operand()>& condition, const Body& body) {
  Statement s;
  s.kind = Statement::Kind::kLoop;
  s.where = next_line();
  s.loop = std::make_unique<Loop>();
  Loop& loop = *s.loop;
  open().push_back(std::move(s));
  inside(loop.test, [&] { loop.condition = condition(); });
  inside(loop.body, body);
}

void HandKernel::loop(int64_t turns, const Body& body) {
  const auto counter = variable(u32);
  assign(counter, constant32(0));
  while_([&] { return less(counter, turns); }, body);
  inside(open().back().loop->step, [&] { append("add", u32, {counter.reg}, {counter, constant32(1)}, {}); });
}

void HandKernel::endless(const Body& body) {
  while_([] { return constant(pred, int64_t{1}); }, body);
}

void HandKernel::jump(Statement::Kind kind) {
  Statement s;
  s.kind = kind;
  s.where = next_line();
  open().push_back(std::move(s));
}

}  // namespace rose::ir::test
