#include "runtime/program.h"

#include <fmt/format.h>

#include "runtime/error.h"

namespace rose::runtime {
namespace {

[[noreturn]] void refuse(const ProgramSource& source, const std::string& what) {
  throw DeviceError(ErrorKind::kInvalidProgram,
                    fmt::format("program '{}' for {}: {}", source.entry, source.target, what));
}

void check_parameter(const ProgramSource& source, size_t index) {
  const ParameterInfo& parameter = source.parameters[index];
  const uint32_t bytes = parameter.bytes;
  bool right = false;
  switch (parameter.kind) {
    case ParameterInfo::Kind::kPointer:
      right = bytes == 8;
      break;
    case ParameterInfo::Kind::kScalar:
      right = bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
      break;
    case ParameterInfo::Kind::kTensorMap:
      right = bytes == 128;
      break;
    default:
      refuse(source, fmt::format("parameter {} has the unknown kind {}", index, int(parameter.kind)));
  }
  if (!right) {
    refuse(source,
           fmt::format("parameter {} '{}' cannot have {} bytes (pointer 8; scalar 1, 2, 4 or 8; tensor "
                       "map 128)",
                       index, parameter.name, bytes));
  }
}

}  // namespace

void check_source(const ProgramSource& source) {
  if (source.entry.empty()) refuse(source, "it names no entry");
  if (source.code.empty()) refuse(source, "it has no code");
  for (size_t i = 0; i < source.parameters.size(); ++i) check_parameter(source, i);

  const auto product = [](const std::array<uint32_t, 3>& a) {
    // Each factor is checked first, so that the product cannot wrap.
    for (uint32_t v : a) {
      if (v == 0 || v > 65536) return uint64_t{0};
    }
    return uint64_t{a[0]} * a[1] * a[2];
  };
  const uint64_t threads = product(source.threads), cluster = product(source.cluster);
  if (threads == 0 || threads > 1024) {
    refuse(source, fmt::format("{}×{}×{} threads a block; must be 1 to 1024 together", source.threads[0],
                               source.threads[1], source.threads[2]));
  }
  if (cluster == 0 || cluster > 16) {
    refuse(source, fmt::format("{}×{}×{} blocks a cluster; must be 1 to 16 together", source.cluster[0],
                               source.cluster[1], source.cluster[2]));
  }
  if (source.target != "x86") return;

  if (threads != 1 || cluster != 1) refuse(source, "x86 programs have one thread a block and no clusters");
  if (source.cooperative) {
    refuse(source,
           "x86 runs blocks one after another, so no grid barrier can work; write the kernel without");
  }
  for (const ParameterInfo& parameter : source.parameters) {
    if (parameter.kind == ParameterInfo::Kind::kTensorMap) {
      refuse(source, fmt::format("parameter '{}' is a tensor map, which x86 does not have", parameter.name));
    }
  }
}

}  // namespace rose::runtime
