#include <fmt/format.h>

#include <chrono>

#include "runtime/cuda/jit_log.h"
#include "runtime/cuda/objects.h"

namespace rose::runtime::cuda {
namespace {

constexpr size_t kLogBytes = 64 * 1024;

// Blocks of a cluster that every GPU of the target can place; more needs an explicit permission.
constexpr uint32_t kPortableCluster = 8;

// A buffer that the driver has filled with text, perhaps not up to a zero byte.
std::string text_of(const std::vector<char>& buffer) {
  return std::string(buffer.data(), strnlen(buffer.data(), buffer.size()));
}

// The log of a failed compilation, cut to what a person reads.
std::string shortened(std::string log) {
  constexpr size_t kMost = 4000;
  if (log.size() > kMost) log.resize(log.rfind('\n', kMost));
  return log;
}

}  // namespace

CudaProgram::CudaProgram(Primary primary, ProgramSource source, uint64_t max_shared_bytes)
    : Program(std::move(source), primary.get()), primary_(std::move(primary)) {
  const auto start = std::chrono::steady_clock::now();
  primary_->make_current();
  compile();
  try {
    const Driver& driver = primary_->driver();
    const std::string doing = fmt::format("loading '{}'", source_.entry);
    driver.check(primary_->call().module_get_function(&function_, module_, source_.entry.c_str()), doing);
    // Without this, lazy loading would do its work in the first launch, perhaps during a capture.
    driver.check(primary_->call().function_load(function_), doing);
    read_attributes();

    const uint64_t shared = uint64_t{source_.shared_bytes} + attributes_.static_shared_bytes;
    if (shared > max_shared_bytes) {
      throw DeviceError(
          ErrorKind::kInvalidProgram,
          fmt::format("'{}' needs {} bytes of shared memory ({} dynamic + {} static), but a block of {} "
                      "has at most {}; take fewer stages or smaller tiles",
                      source_.entry, shared, source_.shared_bytes, attributes_.static_shared_bytes,
                      primary_->name(), max_shared_bytes));
    }
    if (source_.shared_bytes > 0) {
      driver.check(primary_->call().function_set_attribute(function_, kFunctionMaxDynamicShared,
                                                           static_cast<int>(source_.shared_bytes)),
                   doing);
    }
    if (source_.cluster[0] * source_.cluster[1] * source_.cluster[2] > kPortableCluster) {
      driver.check(primary_->call().function_set_attribute(function_, kFunctionNonPortableCluster, 1), doing);
    }
  } catch (...) {
    primary_->call().module_unload(module_);
    throw;
  }
  attributes_.load_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

CudaProgram::~CudaProgram() {
  if (primary_->try_make_current()) primary_->call().module_unload(module_);
}

void CudaProgram::compile() {
  std::vector<char> info(kLogBytes), error(kLogBytes);
  JitOption options[] = {kJitInfoLog, kJitInfoLogBytes, kJitErrorLog, kJitErrorLogBytes, kJitLogVerbose};
  void* values[] = {info.data(), reinterpret_cast<void*>(info.size()), error.data(),
                    reinterpret_cast<void*>(error.size()), reinterpret_cast<void*>(uintptr_t{1})};
  // The image must end with a zero byte: that is how the driver finds the end of PTX text.
  const Result result =
      primary_->call().module_load_data_ex(&module_, source_.code.c_str(), 5, options, values);
  attributes_.log = text_of(info);
  if (result != kSuccess) {
    throw primary_->driver().error(
        result, fmt::format("compiling '{}' for {} on {}: {}", source_.entry, source_.target,
                            primary_->name(), shortened(text_of(error) + attributes_.log)));
  }
  attributes_.warnings = assembler_warnings(attributes_.log);
}

void CudaProgram::read_attributes() {
  const auto read = [&](FunctionAttribute which) {
    int value = 0;
    primary_->driver().check(primary_->call().function_get_attribute(&value, which, function_),
                             fmt::format("reading the attributes of '{}'", source_.entry));
    return value;
  };
  attributes_.registers = read(kFunctionRegisters);
  attributes_.local_bytes = read(kFunctionLocalBytes);
  attributes_.static_shared_bytes = read(kFunctionSharedBytes);
  attributes_.max_threads = read(kFunctionMaxThreads);
  // Code from the driver's cache comes without a log, but its stack is still visible.
  if (attributes_.local_bytes > 0 && attributes_.warnings.empty()) {
    attributes_.warnings.push_back(fmt::format(
        "{} bytes of stack a thread (spills, or arrays in local memory)", attributes_.local_bytes));
  }
}

void describe_launch(const ProgramSource& source, LaunchConfig& config, LaunchAttribute* attributes) {
  config.block_x = source.threads[0];
  config.block_y = source.threads[1];
  config.block_z = source.threads[2];
  config.shared_bytes = source.shared_bytes;
  config.attributes = attributes;
  config.attribute_count = 0;
  const auto add = [&](LaunchAttributeId id) -> LaunchAttributeValue& {
    LaunchAttribute& attribute = attributes[config.attribute_count++];
    attribute = {};
    attribute.id = id;
    return attribute.value;
  };
  if (source.cluster[0] * source.cluster[1] * source.cluster[2] > 1) {
    add(kLaunchClusterDimension).cluster = {source.cluster[0], source.cluster[1], source.cluster[2]};
  }
  if (source.cooperative) add(kLaunchCooperative).cooperative = 1;
  if (source.pdl) add(kLaunchProgrammaticSerialization).programmatic_serialization = 1;
}

}  // namespace rose::runtime::cuda
