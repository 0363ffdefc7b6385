#include "dsl/control.h"

#include <fmt/format.h>

namespace rose::dsl {
namespace {

Builder& builder() { return Builder::current(); }

ir::Statement statement(ir::Statement::Kind kind, const SourceLine& where) {
  ir::Statement s;
  s.kind = kind, s.where = where;
  return s;
}

}  // namespace

Scope::Scope(const char* what, Location where) : what_(what), where_(line_of(where)) {}

Scope::~Scope() {
  if (state_ == 1) {
    builder().poison(fmt::format(
        "{}: the host left this recorded {} by break, return or an exception; use BREAK, or select()",
        where_.to_string(), what_));
    builder().leave();
  }
}

bool Scope::once() {
  if (state_++ == 0) return true;
  finish();
  builder().leave();
  state_ = 2;
  return false;
}

void Scope::open(ir::Block& block) { builder().enter(block, where_); }

IfScope::IfScope(const Arg& condition, Location where) : IfScope(condition, ir::Role{}, where) {}

IfScope::IfScope(const Arg& condition, ir::Role role, Location where) : Scope("IF", where) {
  if (condition.operand().type != pred)
    throw IrError("IF needs a predicate of one lane, not " + ir::to_string(condition.type()), where_);
  auto s = statement(ir::Statement::Kind::kIf, where_);
  s.branch = std::make_unique<ir::If>();
  s.branch->condition = condition.operand();
  s.branch->role = std::move(role);
  auto& block = s.branch->then;
  builder().append(std::move(s));
  open(block);
}

ElseScope::ElseScope(Location where) : Scope("ELSE", where) {
  auto& block = builder().block();
  if (block.empty() || block.back().kind != ir::Statement::Kind::kIf ||
      !block.back().branch->otherwise.empty())
    throw IrError("ELSE must follow an IF at once; a chain is written IF … ELSE { IF … ELSE … }", where_);
  open(block.back().branch->otherwise);
}

ForScope::ForScope(const Arg& begin, const Arg& end, const Arg& step, Unroll unroll, Location where)
    : Scope("FOR", where),
      counter_(!begin.literal() ? begin.type()
               : !end.literal() ? end.type()
                                : s64,
               begin, where) {
  Type type = counter_.type();
  if (!type.is_integer() || type.lanes != 1)
    throw IrError(fmt::format("FOR counts integers, not {}", ir::to_string(type)), where_);
  auto s = statement(ir::Statement::Kind::kLoop, where_);
  s.loop = std::make_unique<ir::Loop>();
  loop_ = s.loop.get();
  loop_->unroll = unroll.count;
  if (!end.literal() && end.type() != type)
    throw IrError(fmt::format("FOR from {} to {}: the bounds have two types", ir::to_string(type),
                              ir::to_string(end.type())),
                  where_);
  step_ = step.as(type);
  if (step_.type != type)
    throw IrError(fmt::format("FOR counts in {}, its step has the type {}", ir::to_string(type),
                              ir::to_string(step_.type)),
                  where_);
  if (step_.is_constant() && ir::constant_int(step_) <= 0 && (type.is_signed() || step_.bits == 0))
    throw IrError("FOR counts up: its step must be above 0", where_);
  // A variable as a bound or step is read once, before the loop.
  auto once = [&](const ir::Operand& x) {
    bool variable = !x.is_constant() && builder().kernel.registers[x.reg].mutable_;
    return variable ? builder().emit_one(ir::operation("mov"), type, type, {x}, {}, where_) : x;
  };
  Val limit(once(end.as(type)));
  step_ = once(step_);
  if (begin.literal() && end.literal())
    loop_->entered = ir::constant_int(begin.as(type)) < ir::constant_int(end.as(type));
  builder().append(std::move(s));
  builder().enter(loop_->test, where_);
  loop_->condition = (Arg(counter_, where) < Arg(limit, where)).operand();
  builder().leave();
  open(loop_->body);
  builder().loop_depth++;
}

Val ForScope::index() {
  LineScope line(where_);
  return Val(counter_);
}

void ForScope::finish() {
  LineScope line(where_);
  builder().loop_depth--;
  builder().enter(loop_->step, where_);
  counter_ += Val(step_);
  builder().leave();
}

WhileScope::WhileScope(const std::function<Val()>& condition, Location where) : Scope("WHILE", where) {
  auto s = statement(ir::Statement::Kind::kLoop, where_);
  s.loop = std::make_unique<ir::Loop>();
  ir::Loop* loop = s.loop.get();
  builder().append(std::move(s));
  builder().enter(loop->test, where_);
  loop->condition = condition().operand();
  builder().leave();
  if (loop->condition.type != pred) throw IrError("WHILE needs a predicate of one lane", where_);
  open(loop->body);
  builder().loop_depth++;
}

void WhileScope::finish() { builder().loop_depth--; }

void break_loop(Location where) {
  if (builder().loop_depth == 0) throw IrError("BREAK outside of a loop", line_of(where));
  builder().append(statement(ir::Statement::Kind::kBreak, line_of(where)));
}

void continue_loop(Location where) {
  if (builder().loop_depth == 0) throw IrError("CONTINUE outside of a loop", line_of(where));
  builder().append(statement(ir::Statement::Kind::kContinue, line_of(where)));
}

void return_from_kernel(Location where) {
  builder().append(statement(ir::Statement::Kind::kReturn, line_of(where)));
}

}  // namespace rose::dsl
