// A ProgramSource as bytes, little-endian, for the disk cache.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "runtime/program.h"

namespace rose::runtime {

std::string to_bytes(const ProgramSource& source);

/// The source that to_bytes wrote; nothing when the bytes are anything else, whatever they are.
std::optional<ProgramSource> from_bytes(std::string_view bytes);

}  // namespace rose::runtime
