// Helpers to write rows of the operation table.
#pragma once

#include "ir/operation.h"

namespace rose::ir {

inline constexpr Availability kEverywhere{80, 86, 88, true};
inline constexpr Availability kGpu{80, 86, 88, false};  // every PTX target from its floor on
inline constexpr Availability kHopper{80, 0, 0, false};
inline constexpr Availability kBlackwell{0, 86, 88, false};
inline constexpr Availability kX86Only{0, 0, 0, true};

inline constexpr Effects kReadGlobal{.reads = true, .space = Space::kGlobal};
inline constexpr Effects kWriteGlobal{.writes = true, .space = Space::kGlobal};
inline constexpr Effects kReadShared{.reads = true, .space = Space::kShared};
inline constexpr Effects kWriteShared{.writes = true, .space = Space::kShared};
inline constexpr Effects kSync{.sync = true};

}  // namespace rose::ir
