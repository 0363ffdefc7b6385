// Arguments of a launch, and launches packed once and repeated.
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "runtime/memory.h"
#include "runtime/program.h"
#include "runtime/tensor_map.h"

namespace rose::runtime {

/// One value for one parameter. Implicit, so that a launch reads `{x, weight, out, rows, epsilon}`.
/// A tensor map is referred to, not copied: it must live until launch() or the PreparedLaunch constructor
/// returns.
struct Argument {
  ParameterInfo::Kind kind;
  uint32_t bytes;  // of a scalar; must equal the parameter's
  uint64_t bits = 0;
  const TensorMap* map = nullptr;

  Argument(DevicePointer p) : kind(ParameterInfo::Kind::kPointer), bytes(8), bits(p.address) {}
  Argument(const Buffer& b) : Argument(b.pointer()) {}
  Argument(const TensorMap& m) : kind(ParameterInfo::Kind::kTensorMap), bytes(128), map(&m) {}
  Argument(int64_t v) : Argument(static_cast<uint64_t>(v), 8) {}
  Argument(uint64_t v) : Argument(v, 8) {}
  Argument(int32_t v) : Argument(static_cast<uint32_t>(v), 4) {}
  Argument(uint32_t v) : Argument(v, 4) {}
  Argument(float v) : Argument(std::bit_cast<uint32_t>(v), 4) {}
  Argument(double v) : Argument(std::bit_cast<uint64_t>(v), 8) {}
  Argument(bool) = delete;  // pass an integer of the parameter's size

  /// A scalar of 1 to 8 bytes given by its bits (for 8- and 16-bit types).
  static Argument scalar(uint64_t bits, uint32_t bytes) { return Argument(bits, bytes); }

 private:
  Argument(uint64_t value, uint32_t size) : kind(ParameterInfo::Kind::kScalar), bytes(size), bits(value) {}
};

/// A launch as a device takes it: addresses of all argument values, checked against the program.
struct LaunchPacket {
  const Program* program;
  Grid grid;
  void* const* addresses;  // one a parameter: where its value lies (8-byte slot or tensor map)
  const uint64_t* slots;   // one a parameter; of a tensor map: unspecified
  size_t count;
};

/// A launch whose arguments are checked and packed once. Launching it costs one driver call. Values may be
/// changed between launches; one thread at a time. Refers to its Program, owns everything else.
class PreparedLaunch {
 public:
  /// Throws DeviceError (kInvalidArgument) naming the parameter when the arguments do not fit the program.
  PreparedLaunch(const Program& program, Grid grid, std::span<const Argument> arguments);
  PreparedLaunch(const PreparedLaunch& other);
  PreparedLaunch& operator=(const PreparedLaunch& other);
  PreparedLaunch(PreparedLaunch&&) = default;
  PreparedLaunch& operator=(PreparedLaunch&&) = default;

  void set_grid(Grid grid) { grid_ = grid; }
  /// Replaces the value of parameter `index` (0 is the first); checks like the constructor.
  void set(size_t index, const Argument& value);
  /// The index of a parameter by its name; throws DeviceError when there is none.
  size_t index_of(std::string_view name) const;

  const Program& program() const { return *program_; }
  LaunchPacket packet() const { return {program_, grid_, addresses_.data(), slots_.data(), slots_.size()}; }

 private:
  void point_at_values();

  const Program* program_;
  Grid grid_;
  std::vector<uint64_t> slots_;
  std::vector<TensorMap> maps_;
  std::vector<uint32_t> map_of_;  // parameter → index into maps_
  std::vector<void*> addresses_;
};

/// Throws DeviceError (kInvalidArgument) unless `value` fits parameter `index` of the program.
void check_argument(const Program& program, size_t index, const Argument& value);

}  // namespace rose::runtime
