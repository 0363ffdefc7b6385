// What the copy engine needs of mbarriers. Private to the emulator.
#pragma once

#include "emulator/warp.h"

namespace rose::emulator {

/// The barrier at a shared-memory address of any block of the cluster; fails in the warp's name when there is
/// none.
MBarrier& barrier_of(Warp& warp, int lane, uint64_t address);
/// A copy has brought bytes that were, or will be, announced.
void bytes_have_come(MBarrier& barrier, int64_t bytes);

}  // namespace rose::emulator
