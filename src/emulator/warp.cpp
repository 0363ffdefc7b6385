#include "emulator/warp.h"

#include <fmt/format.h>

#include <algorithm>

namespace rose::emulator {

using Kind = ir::Statement::Kind;

Warp::Warp(Machine& machine, const Program& program, BlockState& block, int number, int threads)
    : machine_(machine), program_(program), block_(block), number_(number) {
  const int lanes = std::min(kLanes, threads - number * kLanes);
  alive_ = lanes == kLanes ? ~Mask{0} : (Mask{1} << lanes) - 1;
  registers_.assign(program.kernel.registers.size() * kLanes, 0xfff8fff8fff8fff8ull);  // NaN in most types
  push(program.body, alive_);
}

std::string Warp::place() const {
  std::string line;
  if (current_) {
    auto where = current_->statement->where;
    line = where.line ? where.to_string() + ", " : "";
  }
  return fmt::format("{}block ({}, {}, {}), warp {}", line, block_.index[0], block_.index[1], block_.index[2],
                     number_);
}

std::string Warp::report(const std::string& message, int lane) const {
  std::string operation;
  if (current_ && current_->kind == Kind::kInstruction)
    operation = ir::to_string(current_->statement->instruction, program_.kernel) + ": ";
  return fmt::format("{}: {}{}: {}{}", program_.kernel.name, place(),
                     lane < 0 ? "" : fmt::format(", lane {}", lane), operation, message);
}

void Warp::fail(const std::string& message, int lane) const { throw EmulatorError(report(message, lane)); }

void Warp::note(const std::string& message) const { machine_.note(current_, report(message, -1)); }

uint64_t Warp::uniform(const Source& source, const char* what) const {
  const int first = __builtin_ctz(mask_);
  const uint64_t value = get(source, first);
  each([&](int lane) {
    if (get(source, lane) != value)
      fail(fmt::format("{} differs between lanes {} and {}", what, first, lane));
  });
  return value;
}

Mask Warp::truth(const Source& condition, Mask mask) const {
  if (condition.reg == ir::kNoReg) return condition.bits ? mask : 0;
  Mask result = 0;
  for (Mask left = mask; left; left &= left - 1) {
    const int lane = __builtin_ctz(left);
    if (get(condition, lane) & 1) result |= Mask{1} << lane;
  }
  return result;
}

// Takes lanes out of every frame down to the loop that they leave (also_loop) or go round in.
void Warp::leave(Mask lanes, bool also_loop) {
  for (size_t i = frames_.size(); i-- > 0;) {
    auto& frame = frames_[i];
    if (frame.loop) {
      if (also_loop) frame.mask &= ~lanes;
      return;
    }
    frame.mask &= ~lanes;
  }
}

void Warp::advance_loop() {
  auto& frame = frames_.back();
  const auto& loop = *frame.loop;
  const Mask mask = frame.mask;
  switch (frame.next) {
    case Frame::Part::kTest:
      if (mask == 0) return frames_.pop_back();
      frame.next = Frame::Part::kBody;
      return push(loop.first, mask);
    case Frame::Part::kBody: {
      const Mask going = truth(loop.condition, mask);
      frame.mask = going;
      if (going == 0) return frames_.pop_back();
      frame.next = Frame::Part::kStep;
      return push(loop.second, going);
    }
    case Frame::Part::kStep:
      frame.next = Frame::Part::kTest;
      if (mask) push(loop.third, mask);
      return;
    case Frame::Part::kBlock:
      return;
  }
}

// Accumulators belong to a product from its issue until it is waited for.
void Warp::check_owned(const Code& code) const {
  for (const auto& source : code.in)
    if (source.reg != ir::kNoReg && owned[source.reg] & kAccumulator)
      fail(fmt::format("reads register {}, which a wgmma under way owns: wgmma.wait_group comes first",
                       source.reg));
  for (auto reg : code.out)
    if (owned[reg])
      fail(
          fmt::format("writes register {}, which a wgmma under way owns: wgmma.wait_group comes first", reg));
}

Outcome Warp::execute(const Node& node) {
  const auto& code = node.code;
  const auto& guard = code.instruction->guard;
  const Mask all = mask_;
  if (guard.reg != ir::kNoReg) {
    Mask chosen = truth({guard.reg, ir::pred, 0}, mask_);
    mask_ = guard.negated ? mask_ & ~chosen : chosen;
    if (mask_ == 0) {
      mask_ = all;
      return Outcome::kDone;
    }
  }
  if (code.whole_warp && mask_ != alive_)
    fail(fmt::format("lanes {:#010x} are here, but all of {:#010x} must execute this together", mask_,
                     alive_));
  if (!owned.empty() && !code.reads_accumulators) check_owned(code);
  const Outcome outcome = code.handler(*this, code);
  mask_ = all;
  return outcome;
}

uint64_t Warp::run(uint64_t statements) {
  uint64_t executed = 0;
  while (executed < statements && !frames_.empty()) {
    auto& frame = frames_.back();
    if (frame.loop) {
      advance_loop();
      continue;
    }
    if (frame.mask == 0 || frame.at == frame.nodes->size()) {
      frames_.pop_back();
      if (frames_.empty()) finish();
      continue;
    }
    const Node& node = (*frame.nodes)[frame.at];
    current_ = &node;
    mask_ = frame.mask;
    switch (node.kind) {
      case Kind::kInstruction:
        if (execute(node) == Outcome::kBlocked) return executed;
        ++frames_.back().at;
        break;
      case Kind::kIf: {
        ++frame.at;
        const Mask yes = truth(node.condition, mask_), no = mask_ & ~yes;
        if (no && !node.second.empty()) push(node.second, no);
        if (yes) push(node.first, yes);
        break;
      }
      case Kind::kLoop: {
        ++frame.at;
        const Mask mask = mask_;
        frames_.push_back({nullptr, 0, mask, &node, Frame::Part::kTest});
        break;
      }
      case Kind::kBreak:
        leave(mask_, true);
        break;
      case Kind::kContinue:
        leave(mask_, false);
        break;
      case Kind::kReturn: {
        const Mask gone = mask_;
        alive_ &= ~gone;
        for (auto& each : frames_) each.mask &= ~gone;
        break;
      }
    }
    ++executed;
  }
  return executed;
}

void Warp::finish() {
  if (!groups.empty() || !products.empty()) fail("the warp ends before it has waited for its wgmma");
  for (const auto& store : stores)
    if (!store.read)
      fail("the thread ends before the copy engine has read what it shall store: bulk.wait_group comes first",
           store.lane);
  --block_.warps_running;
  machine_.progress();
}

}  // namespace rose::emulator
