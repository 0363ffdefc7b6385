// A machine that runs Hopper kernels without a GPU and watches what they do: the very kernels that the PTX
// generator prints, instruction by instruction of their IR, on ordinary memory.
//
// What is modelled:
// - threads in warps of 32 lanes with masks, blocks, clusters, cooperative grids; barriers of blocks, named
//   barriers, mbarriers with phases and bytes, cluster barriers;
// - shared memory with a state for every byte: never written, written, in the hands of an asynchronous copy;
// - asynchronous work as late as it is allowed to be: a TMA load poisons its destination when it is issued,
//   and brings the data when nothing else can go on; wgmma reads its operands when it is waited for, and so
//   do stores by the copy engine. Whoever does not wait computes with poison, or is told so.
//
// What is reported (EmulatorError):
// - accesses beyond allocations and shared memory, misaligned ones, loads of shared memory never written;
// - touching memory or accumulators that belong to work under way, sources of stores by the copy engine that
//   change before they are read, writes that it reads without fence.proxy.async by their writer;
// - arrivals beyond a barrier's count, announced bytes that never come, lanes that should act together but do
//   not, deadlocks with what everybody waits for, kernels that never end.
// Rows of wgmma's operands that are in flight, or change under it, become NaN and a note (see run).
//
// What is not: races between threads that the order of the warps happens to hide (Options::seed tries other
// orders), time, and the last bits of the matrix units (sums are made in the order of k, in f32). Not known
// yet: cp.async, im2col, changing tensor maps, multimem, tcgen05; a kernel with one is refused by its name.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "emulator/error.h"
#include "ir/kernel.h"

namespace rose::emulator {

/// The device's memory as the machine may touch it. Addresses are those of the host.
class GlobalMemory {
 public:
  virtual ~GlobalMemory() = default;
  /// Whether [address, address + bytes) lies inside one allocation.
  virtual bool holds(uint64_t address, uint64_t bytes) const = 0;
};

/// What a tensor-map parameter points to here. Dimension 0 is the contiguous one; strides in bytes, of
/// dimension i + 1; box in elements.
struct TensorMap {
  uint64_t base = 0;
  uint32_t rank = 1;
  std::array<uint64_t, 5> dims{};
  std::array<uint64_t, 4> strides{};
  std::array<uint32_t, 5> box{};
  uint32_t element_bytes = 2;
  uint32_t swizzle_bytes = 0;  // 0, 32, 64 or 128
  bool fill_nan = false;       // what lies outside of the tensor reads as NaN, else as zero
};

struct Launch {
  const ir::Kernel& kernel;  // optimised and verified, for sm_90a
  std::array<uint32_t, 3> grid;
  std::span<const uint64_t> slots;  // one a parameter: a pointer, a scalar's bits, or a TensorMap's address
};

struct Options {
  uint64_t seed = 0;                            // of the order in which warps run; 0: in turn
  uint64_t max_statements = uint64_t{1} << 36;  // of all warps; more are taken for a loop without end
};

/// Runs the whole grid; returns when all of it is done. Throws EmulatorError for what a kernel does wrong,
/// and for operations that the machine does not know. Returns notes, one an instruction at most: wgmma that
/// reads rows which are not its own at the moment. The machine computes NaN for them, and it is a fault where
/// those results are used.
std::vector<std::string> run(const Launch& launch, const GlobalMemory& memory, const Options& options = {});

}  // namespace rose::emulator
