#include "ir/verifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "ir/walk.h"

namespace rose::ir {
namespace verifier {
namespace {

constexpr int kMostThreads = 1024;  // of a block
constexpr int kMostCluster = 8;     // blocks of a portable cluster
constexpr int kMostClusterNonPortable = 16;
constexpr int64_t kMostShared = 232448;  // 227 KiB: 228 KiB of a multiprocessor less 1 KiB for the system
constexpr int64_t kMostParameterBytes = 4096;
constexpr int64_t kTensorColumns = 512;  // of tensor memory

[[noreturn]] void fail(const Kernel& kernel, const std::string& message) {
  throw IrError("kernel '" + kernel.name + "': " + message);
}

void check_name(const Kernel& kernel) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  bool good = !kernel.name.empty() && letter(kernel.name[0]);
  for (char c : kernel.name) good = good && (letter(c) || digit(c));
  if (!good)
    fail(kernel, "the name is no symbol; use letters, digits and '_', and begin with a letter or '_'");
  // ptxas chooses other heuristics for such names (128 registers more or less; NVIDIA/cutlass issue 3389).
  if (kernel.name.find("cutlass") != kernel.name.npos)
    fail(kernel,
         "the name contains 'cutlass', which changes how ptxas allocates registers; choose another name");
}

void check_shape(const Kernel& kernel) {
  const auto& [x, y, z] = kernel.threads;
  if (x < 1 || y < 1 || z < 1) fail(kernel, fmt::format("a block of {} x {} x {} threads is empty", x, y, z));
  if (!kernel.target.is_gpu()) {
    if (total_threads(kernel) != 1)
      fail(kernel,
           fmt::format("{} threads a block on x86, where a block is one thread", total_threads(kernel)));
    return;
  }
  const int64_t threads = int64_t{x} * y * z;
  if (threads > kMostThreads)
    fail(kernel, fmt::format("{} x {} x {} = {} threads a block; a block has at most {}", x, y, z, threads,
                             kMostThreads));
  if (z > 64) fail(kernel, fmt::format("{} threads along z; at most 64", z));
  const auto& [cx, cy, cz] = kernel.cluster;
  const int64_t blocks = int64_t{cx} * cy * cz;
  if (cx < 1 || cy < 1 || cz < 1)
    fail(kernel, fmt::format("a cluster of {} x {} x {} blocks is empty", cx, cy, cz));
  if (blocks > kMostCluster)
    fail(kernel,
         fmt::format("{} x {} x {} = {} blocks a cluster; {}", cx, cy, cz, blocks,
                     blocks <= kMostClusterNonPortable
                         ? fmt::format("more than {} are not portable: they need the launch attribute for "
                                       "non-portable clusters, which the runtime does not set",
                                       kMostCluster)
                         : fmt::format("at most {} exist", kMostClusterNonPortable)));
}

void check_shared_memory(const Kernel& kernel) {
  if (kernel.shared_bytes < 0) fail(kernel, fmt::format("{} bytes of shared memory", kernel.shared_bytes));
  if (!std::has_single_bit(static_cast<unsigned>(kernel.shared_alignment)) || kernel.shared_alignment > 1024)
    fail(kernel, fmt::format("shared memory aligned to {} bytes; use a power of two up to 1024",
                             kernel.shared_alignment));
  if (!kernel.target.is_gpu()) return;
  if (kernel.shared_bytes > kMostShared)
    fail(
        kernel,
        fmt::format("{} bytes of shared memory, {} more than the {} (227 KiB) of a block; use fewer pipeline "
                    "stages or smaller tiles",
                    kernel.shared_bytes, kernel.shared_bytes - kMostShared, kMostShared));
  if (kernel.min_blocks > 1 && kernel.shared_bytes > 0) {
    // Each resident block also takes 1 KiB of the multiprocessor's 228 KiB for the system.
    const int64_t together = kernel.min_blocks * (kernel.shared_bytes + 1024);
    if (together > kMostShared + 1024)
      fail(kernel,
           fmt::format("{} resident blocks x ({} + 1024) bytes of shared memory = {}, more than the {} of a "
                       "multiprocessor",
                       kernel.min_blocks, kernel.shared_bytes, together, kMostShared + 1024));
  }
}

void check_parameters(const Kernel& kernel) {
  int64_t bytes = 0;
  for (const auto& parameter : kernel.parameters) {
    if (parameter.kind == Parameter::Kind::kTensorMap && !kernel.target.is_gpu())
      fail(kernel, "parameter '" + parameter.name + "' is a tensor map; x86 has no copy engine");
    const int64_t size = parameter.bytes();
    const int64_t alignment = parameter.kind == Parameter::Kind::kTensorMap ? 64 : std::max<int64_t>(size, 1);
    bytes = (bytes + alignment - 1) / alignment * alignment + size;
  }
  if (kernel.target.is_gpu() && bytes > kMostParameterBytes)
    fail(kernel,
         fmt::format("{} bytes of parameters; a kernel takes at most {}", bytes, kMostParameterBytes));
}

// Columns held at one time, as far as the counts are constants.
void check_tensor_memory(const Kernel& kernel) {
  int64_t held = 0;
  std::string sum;
  for_each_instruction(kernel.body, [&](const Instruction& i) {
    const bool alloc = i.row && i.row->name.starts_with("tcgen05.alloc");
    const bool dealloc = i.row && i.row->name.starts_with("tcgen05.dealloc");
    if ((!alloc && !dealloc) || i.operands.size() < 2 || !i.operands[1].is_constant()) return;
    const int64_t columns = constant_int(i.operands[1]);
    if (columns < 32 || columns > kTensorColumns || !std::has_single_bit(static_cast<uint64_t>(columns)))
      throw IrError(fmt::format("'{}' of {} columns; tensor memory is given in powers of two from 32 to 512",
                                i.row->name, columns),
                    i.where);
    held += alloc ? columns : -columns;
    if (alloc)
      sum += (sum.empty() ? "" : " + ") + std::to_string(columns);
    else
      sum += " - " + std::to_string(columns);
    if (held > kTensorColumns)
      throw IrError(
          fmt::format("{} = {} columns of tensor memory are held at one time; a multiprocessor has {}", sum,
                      held, kTensorColumns),
          i.where);
  });
}

}  // namespace

void check_launch(const Kernel& kernel) {
  check_name(kernel);
  check_shape(kernel);
  check_shared_memory(kernel);
  check_parameters(kernel);
  check_tensor_memory(kernel);
}

void for_each_instruction(const Block& block, const std::function<void(const Instruction&)>& visit) {
  walk(block, [&](const Statement& statement) {
    if (statement.kind == Statement::Kind::kInstruction) visit(statement.instruction);
  });
}

}  // namespace verifier

void verify(const Kernel& kernel) {
  verifier::check_launch(kernel);
  verifier::check_types(kernel);
  verifier::check_definitions(kernel);
  if (!kernel.target.is_gpu()) return;  // the rest is about threads that run together
  verifier::check_roles(kernel);
  verifier::check_barriers(kernel);
  verifier::check_uniformity(kernel);
}

}  // namespace rose::ir
