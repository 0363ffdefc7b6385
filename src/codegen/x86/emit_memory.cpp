// Loads, stores, atomics, parameters and special registers.
#include "codegen/x86/emitter.h"

#include <fmt/format.h>

#include <bit>

namespace rose::codegen::x86 {

using enum ir::Semantic;

namespace {

int64_t bytes_of(ir::Type type) { return (type.bits() + 7) / 8; }

}  // namespace

Value* Emitter::address(Value* base, int64_t offset) {
  auto* pointer = b_.CreateIntToPtr(base, b_.getPtrTy());
  return offset ? b_.CreateGEP(b_.getInt8Ty(), pointer, b_.getInt64(static_cast<uint64_t>(offset))) : pointer;
}

Values Emitter::emit_memory() {
  const auto& row = *current_->row;
  switch (row.semantic) {
    case kSpecial:
      return {b_.CreateZExtOrTrunc(special(static_cast<ir::Special>(attribute(0))), held(out_type()))};
    case kParameter:
      return {parameter(attribute(0), out_type())};
    case kSharedBase:
      return {b_.CreatePtrToInt(function_->getArg(4), held(out_type()))};
    case kTrap:
      call(llvm::Intrinsic::trap, {}, {});
      return {};
    case kLoad: {
      Values results;
      int64_t offset = attribute(0);
      for (size_t i = 0; i < current_->results.size(); ++i) {  // consecutive in memory
        auto type = out_type(i);
        if (type.is_pred()) fail("predicates have no place in memory");
        results.push_back(b_.CreateAlignedLoad(held(type), address(in(0), offset), llvm::Align(1)));
        offset += bytes_of(type);
      }
      return results;
    }
    case kStore: {
      int64_t offset = attribute(0);
      bool streams = row.name == "st.global.stream";
      for (size_t i = 1; i < current_->operands.size(); ++i) {
        auto type = in_type(i);
        if (type.is_pred()) fail("predicates have no place in memory");
        auto bytes = static_cast<uint64_t>(bytes_of(type));
        auto alignment = streams ? std::bit_floor(std::min<uint64_t>(bytes & -bytes, 64)) : 1;
        auto* store = b_.CreateAlignedStore(in(i), address(in(0), offset), llvm::Align(alignment));
        if (streams)
          store->setMetadata(llvm::LLVMContext::MD_nontemporal,
                             llvm::MDNode::get(context_, llvm::ConstantAsMetadata::get(b_.getInt32(1))));
        offset += static_cast<int64_t>(bytes);
      }
      return {};
    }
    case kAtomicAdd: {
      auto type = in_type(1);
      if (type.lanes != 1) fail("atomic operations take one lane");
      auto operation = type.is_integer() ? llvm::AtomicRMWInst::Add : llvm::AtomicRMWInst::FAdd;
      return {b_.CreateAtomicRMW(operation, address(in(0), attribute(0)), in(1),
                                 llvm::Align(static_cast<uint64_t>(bytes_of(type))),
                                 llvm::AtomicOrdering::Monotonic)};
    }
    default:
      break;
  }
  if (row.name == "prefetch.x86") {
    constexpr int kRead = 0, kKeep = 3, kData = 1;
    call(llvm::Intrinsic::prefetch, {b_.getPtrTy()},
         {address(in(0), attribute(0)), b_.getInt32(kRead), b_.getInt32(kKeep), b_.getInt32(kData)});
    return {};
  }
  fail("its meaning is unknown here");
}

// One slot of eight bytes a parameter; the grid's size follows the last one. The slots never change during a
// call.
Value* Emitter::parameter(int64_t index, ir::Type type) {
  if (index < 0 || index >= static_cast<int64_t>(kernel_.parameters.size()) + 3)
    fail(fmt::format("the kernel has {} parameters", kernel_.parameters.size()));
  auto* slot =
      b_.CreateConstInBoundsGEP1_64(b_.getInt64Ty(), function_->getArg(0), static_cast<uint64_t>(index));
  auto* load = b_.CreateLoad(b_.getInt64Ty(), slot);
  load->setMetadata(llvm::LLVMContext::MD_invariant_load, llvm::MDNode::get(context_, {}));
  if (type.lanes != 1 || type.bits() > 64) fail("a parameter is one lane of at most 64 bits");
  return b_.CreateBitCast(b_.CreateTrunc(load, b_.getIntNTy(static_cast<unsigned>(type.bits()))), held(type));
}

Value* Emitter::special(ir::Special special) {
  using enum ir::Special;
  auto grid = [&](int axis) {
    return parameter(static_cast<int64_t>(kernel_.parameters.size()) + axis, ir::u64);
  };
  switch (special) {
    case kThreadX:
    case kThreadY:
    case kThreadZ:
    case kLane:
    case kWarp:
    case kClusterRank:
      return b_.getInt64(0);
    case kBlockX:
    case kClusterX:
      return function_->getArg(1);  // every block is a cluster of its own
    case kBlockY:
      return function_->getArg(2);
    case kBlockZ:
      return function_->getArg(3);
    case kGridX:
    case kClusterGridX:
      return grid(0);
    case kGridY:
      return grid(1);
    case kGridZ:
      return grid(2);
    case kBlockDimX:
      return b_.getInt64(static_cast<uint64_t>(kernel_.threads[0]));
    case kClusterSize:
      return b_.getInt64(1);
    default:
      fail("this special register exists on GPUs alone");
  }
}

}  // namespace rose::codegen::x86
