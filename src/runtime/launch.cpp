#include "runtime/launch.h"

#include <fmt/format.h>

#include "runtime/device.h"
#include "runtime/error.h"

namespace rose::runtime {
namespace {

std::string describe(ParameterInfo::Kind kind, uint32_t bytes) {
  switch (kind) {
    case ParameterInfo::Kind::kPointer:
      return "a pointer";
    case ParameterInfo::Kind::kScalar:
      return fmt::format("a scalar of {} bytes", bytes);
    case ParameterInfo::Kind::kTensorMap:
      return "a tensor map";
  }
  return "nothing known";
}

void check_count(const Program& program, size_t given) {
  const auto& parameters = program.source().parameters;
  if (given == parameters.size()) return;
  std::string names;
  for (const auto& parameter : parameters) names += (names.empty() ? "" : ", ") + parameter.name;
  throw DeviceError(ErrorKind::kInvalidArgument,
                    fmt::format("'{}' takes {} arguments ({}), but got {}", program.source().entry,
                                parameters.size(), names, given));
}

bool fits(const ParameterInfo& parameter, const Argument& value) {
  if (value.kind != parameter.kind || value.bytes != parameter.bytes) return false;
  // A scalar's bits must not spill over its size: x86 code reads the whole slot.
  return value.kind != ParameterInfo::Kind::kScalar || value.bytes == 8 ||
         (value.bits >> (8 * value.bytes)) == 0;
}

}  // namespace

void check_argument(const Program& program, size_t index, const Argument& value) {
  const auto& parameters = program.source().parameters;
  if (index >= parameters.size()) check_count(program, index + 1);
  if (fits(parameters[index], value)) return;
  throw DeviceError(
      ErrorKind::kInvalidArgument,
      fmt::format("'{}', parameter {} '{}' is {}, but the argument is {}{}", program.source().entry, index,
                  parameters[index].name, describe(parameters[index].kind, parameters[index].bytes),
                  describe(value.kind, value.bytes),
                  value.kind == parameters[index].kind && value.bytes == parameters[index].bytes
                      ? fmt::format(" with bits above its size ({:#x})", value.bits)
                      : ""));
}

PreparedLaunch::PreparedLaunch(const Program& program, Grid grid, std::span<const Argument> arguments)
    : program_(&program), grid_(grid) {
  check_count(program, arguments.size());
  slots_.resize(arguments.size());
  map_of_.resize(arguments.size());
  for (size_t i = 0; i < arguments.size(); ++i) {
    check_argument(program, i, arguments[i]);
    if (arguments[i].kind == ParameterInfo::Kind::kTensorMap) {
      map_of_[i] = static_cast<uint32_t>(maps_.size());
      maps_.push_back(*arguments[i].map);
    } else {
      slots_[i] = arguments[i].bits;
    }
  }
  point_at_values();
}

PreparedLaunch::PreparedLaunch(const PreparedLaunch& other)
    : program_(other.program_),
      grid_(other.grid_),
      slots_(other.slots_),
      maps_(other.maps_),
      map_of_(other.map_of_) {
  point_at_values();
}

PreparedLaunch& PreparedLaunch::operator=(const PreparedLaunch& other) {
  if (this != &other) *this = PreparedLaunch(other);
  return *this;
}

void PreparedLaunch::point_at_values() {
  addresses_.resize(slots_.size());
  for (size_t i = 0; i < slots_.size(); ++i) {
    const bool map = program_->source().parameters[i].kind == ParameterInfo::Kind::kTensorMap;
    addresses_[i] = map ? static_cast<void*>(&maps_[map_of_[i]]) : static_cast<void*>(&slots_[i]);
  }
}

void PreparedLaunch::set(size_t index, const Argument& value) {
  check_argument(*program_, index, value);
  if (value.kind == ParameterInfo::Kind::kTensorMap) {
    maps_[map_of_[index]] = *value.map;
  } else {
    slots_[index] = value.bits;
  }
}

size_t PreparedLaunch::index_of(std::string_view name) const {
  const auto& parameters = program_->source().parameters;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i].name == name) return i;
  }
  throw DeviceError(ErrorKind::kInvalidArgument,
                    fmt::format("'{}' has no parameter '{}'", program_->source().entry, name));
}

void Stream::launch(const Program& program, Grid grid, std::span<const Argument> arguments) {
  check_count(program, arguments.size());
  // Kernels have a dozen parameters; the values of more than that move to the heap.
  constexpr size_t kInline = 32;
  std::array<uint64_t, kInline> inline_slots;
  std::array<void*, kInline> inline_addresses;
  std::vector<uint64_t> more_slots;
  std::vector<void*> more_addresses;
  uint64_t* slots = inline_slots.data();
  void** addresses = inline_addresses.data();
  if (arguments.size() > kInline) {
    more_slots.resize(arguments.size());
    more_addresses.resize(arguments.size());
    slots = more_slots.data();
    addresses = more_addresses.data();
  }
  for (size_t i = 0; i < arguments.size(); ++i) {
    check_argument(program, i, arguments[i]);
    slots[i] = arguments[i].bits;
    // The driver only reads through these pointers.
    addresses[i] =
        arguments[i].map ? const_cast<TensorMap*>(arguments[i].map) : static_cast<void*>(&slots[i]);
  }
  submit({&program, grid, addresses, slots, arguments.size()});
}

}  // namespace rose::runtime
