// What a code generator hands to the runtime (ProgramSource) and what a device makes of it (Program).
//
// A ProgramSource is plain data: it is what the disk cache stores, and it says everything that a launch
// must know. A Program is that source loaded on one device; the program cache owns it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace rose::ir {
struct Kernel;
}

namespace rose::runtime {

/// One parameter of an entry, in the order of the launch arguments.
struct ParameterInfo {
  enum class Kind : uint8_t { kPointer, kScalar, kTensorMap };

  std::string name;
  Kind kind = Kind::kPointer;
  uint32_t bytes = 8;  // pointer 8, scalar 1 to 8, tensor map 128

  bool operator==(const ParameterInfo&) const = default;
};

/// The code of one kernel for one target.
///
/// target "x86": `code` is a relocatable ELF object whose `entry` has the type X86Entry below; `threads` must
/// be 1×1×1, `cluster` 1×1×1, `cooperative` false, and there are no tensor maps.
/// Targets "sm_…": `code` is PTX text.
struct ProgramSource {
  std::string target;  // "sm_90a", "sm_100a", "sm_103a" or "x86"
  std::string entry;   // the symbol to call
  std::string code;
  std::vector<ParameterInfo> parameters;
  std::array<uint32_t, 3> threads = {1, 1, 1};  // of one block
  std::array<uint32_t, 3> cluster = {1, 1, 1};  // blocks of one cluster; 1×1×1: launched without clusters
  uint32_t shared_bytes = 0;                    // dynamic shared memory of one block
  bool cooperative = false;                     // all blocks must be resident at once (grid barriers)
  bool pdl = false;            // may start before its predecessor in the stream has ended (griddepcontrol)
  uint64_t scratch_bytes = 0;  // x86: memory that one running block may use, 64-byte aligned, not cleared
  /// GPUs: what the code was made from, for the emulator. Kept in memory alone, and by devices that run it
  /// alone.
  std::shared_ptr<const ir::Kernel> kernel;

  bool operator==(const ProgramSource&) const = default;
};

/// The entry of an x86 program; one call runs one block. `arguments` holds one 8-byte slot a parameter:
/// a pointer's address, or a scalar's bits in the low bytes with zeros above. Behind them stand three more
/// slots: the grid's size in x, y and z.
using X86Entry = void (*)(const uint64_t* arguments, int64_t block_x, int64_t block_y, int64_t block_z,
                          void* scratch);

/// Blocks of one launch. A grid with a zero in it has no blocks: launching it does nothing.
struct Grid {
  uint32_t x = 1, y = 1, z = 1;
  uint64_t blocks() const { return static_cast<uint64_t>(x) * y * z; }  // of valid grids: below 2^63
  bool operator==(const Grid&) const = default;
};

/// What the device's own compiler made of a program. On x86 all numbers are zero.
struct ProgramAttributes {
  int registers = 0;            // of one thread
  int local_bytes = 0;          // stack and spills of one thread; anything above 0 deserves a look
  int static_shared_bytes = 0;  // beside ProgramSource::shared_bytes
  int max_threads = 0;          // of one block, as compiled
  double load_seconds = 0;      // from source to callable
  std::string log;              // all that the assembler said; empty when the driver's cache knew the code
  std::vector<std::string> warnings;  // its lines about lost performance: messages C75xx, spills, stack
};

/// A source loaded on a device. Immutable and safe to use from many threads; lives no longer than its Device.
class Program {
 public:
  virtual ~Program() = default;
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  const ProgramSource& source() const { return source_; }
  const ProgramAttributes& attributes() const { return attributes_; }
  /// Identity of the device that loaded it: its streams, and no others, can launch it.
  const void* home() const { return home_; }

 protected:
  Program(ProgramSource source, const void* home) : source_(std::move(source)), home_(home) {}

  ProgramSource source_;
  const void* home_;
  ProgramAttributes attributes_;
};

/// Throws DeviceError (kInvalidProgram) when a source contradicts itself or the rules above. Called by every
/// load, because sources also come from files.
void check_source(const ProgramSource& source);

}  // namespace rose::runtime
