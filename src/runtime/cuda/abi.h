// The CUDA driver's binary interface, as far as the runtime uses it: handles, numbers and structures.
//
// Written from the CUDA driver API manual; the numeric values are part of NVIDIA's stable ABI. A test
// compares every one of them with cuda.h where a toolkit is installed (tests/runtime/cuda_abi_test.cpp).
#pragma once

#include <cstddef>
#include <cstdint>

namespace rose::runtime::cuda {

using DeviceNumber = int;
using DeviceAddress = unsigned long long;
using ContextHandle = struct OpaqueContext*;
using ModuleHandle = struct OpaqueModule*;
using FunctionHandle = struct OpaqueFunction*;
using StreamHandle = struct OpaqueStream*;
using EventHandle = struct OpaqueEvent*;
using GraphHandle = struct OpaqueGraph*;
using GraphNodeHandle = struct OpaqueGraphNode*;
using GraphExecHandle = struct OpaqueGraphExec*;
using PoolHandle = struct OpaquePool*;

// CUresult. Only the values that the runtime tells apart have a name.
using Result = int;
inline constexpr Result kSuccess = 0;
inline constexpr Result kInvalidValue = 1;
inline constexpr Result kOutOfMemory = 2;
inline constexpr Result kNotInitialized = 3;
inline constexpr Result kDeinitialized = 4;
inline constexpr Result kStubLibrary = 34;
inline constexpr Result kNeedsNewerDriver = 36;
inline constexpr Result kDeviceUnavailable = 46;
inline constexpr Result kNoDevice = 100;
inline constexpr Result kInvalidDevice = 101;
inline constexpr Result kInvalidImage = 200;
inline constexpr Result kInvalidContext = 201;
inline constexpr Result kNoBinaryForGpu = 209;
inline constexpr Result kEccUncorrectable = 214;
inline constexpr Result kInvalidPtx = 218;
inline constexpr Result kNvlinkUncorrectable = 220;
inline constexpr Result kJitCompilerNotFound = 221;
inline constexpr Result kUnsupportedPtxVersion = 222;
inline constexpr Result kJitDisabled = 223;
inline constexpr Result kContained = 226;
inline constexpr Result kInvalidSource = 300;
inline constexpr Result kInvalidHandle = 400;
inline constexpr Result kNotFound = 500;
inline constexpr Result kNotReady = 600;
inline constexpr Result kIllegalAddress = 700;
inline constexpr Result kLaunchOutOfResources = 701;
inline constexpr Result kLaunchTimeout = 702;
inline constexpr Result kContextDestroyed = 709;
inline constexpr Result kAssert = 710;
inline constexpr Result kHardwareStackError = 714;
inline constexpr Result kIllegalInstruction = 715;
inline constexpr Result kMisalignedAddress = 716;
inline constexpr Result kInvalidAddressSpace = 717;
inline constexpr Result kInvalidPc = 718;
inline constexpr Result kLaunchFailed = 719;
inline constexpr Result kCooperativeTooLarge = 720;
inline constexpr Result kTensorMemoryLeak = 721;
inline constexpr Result kNotPermitted = 800;
inline constexpr Result kNotSupported = 801;
inline constexpr Result kSystemNotReady = 802;
inline constexpr Result kSystemDriverMismatch = 803;
inline constexpr Result kCompatNotSupported = 804;
inline constexpr Result kCaptureUnsupported = 900;
inline constexpr Result kCaptureInvalidated = 901;
inline constexpr Result kGraphUpdateFailure = 910;
inline constexpr Result kInvalidClusterSize = 912;

enum DeviceAttribute : int {
  kMaxThreadsPerBlock = 1,
  kClockRate = 13,
  kProcessorCount = 16,
  kPciBusId = 33,
  kPciDeviceId = 34,
  kMemoryClockRate = 36,  // kilohertz
  kMemoryBusWidth = 37,   // bits
  kL2CacheSize = 38,
  kMaxThreadsPerProcessor = 39,
  kPciDomainId = 50,
  kCapabilityMajor = 75,
  kCapabilityMinor = 76,
  kSharedMemoryPerProcessor = 81,
  kMaxSharedMemoryOptIn = 97,
  kMemoryPoolsSupported = 115,
  kTensorMapSupported = 127,
};

enum FunctionAttribute : int {
  kFunctionMaxThreads = 0,
  kFunctionSharedBytes = 1,
  kFunctionLocalBytes = 3,
  kFunctionRegisters = 4,
  kFunctionMaxDynamicShared = 8,
  kFunctionNonPortableCluster = 14,
};

enum JitOption : int {
  kJitInfoLog = 3,
  kJitInfoLogBytes = 4,
  kJitErrorLog = 5,
  kJitErrorLogBytes = 6,
  kJitLogVerbose = 12,
};

enum StreamFlag : unsigned { kStreamNonBlocking = 1 };
enum EventFlag : unsigned { kEventDefault = 0, kEventDisableTiming = 2 };
enum HostMemoryFlag : unsigned { kHostPortable = 1 };
enum CaptureMode : int { kCaptureGlobal = 0, kCaptureThreadLocal = 1, kCaptureRelaxed = 2 };
enum CaptureStatus : int { kCaptureNone = 0, kCaptureActive = 1 };
enum GetProcFlag : uint64_t { kGetProcDefault = 0 };

enum LaunchAttributeId : int {
  kLaunchCooperative = 2,
  kLaunchClusterDimension = 4,
  kLaunchProgrammaticSerialization = 6,
};

// CUlaunchAttributeValue, 64 bytes; only the members in use. Others hold pointers, hence the alignment.
union alignas(8) LaunchAttributeValue {
  char pad[64];
  int cooperative;
  struct {
    unsigned x, y, z;
  } cluster;
  int programmatic_serialization;
};

// CUlaunchAttribute
struct LaunchAttribute {
  LaunchAttributeId id;
  char pad[4];
  LaunchAttributeValue value;
};

// CUlaunchConfig
struct LaunchConfig {
  unsigned grid_x, grid_y, grid_z;
  unsigned block_x, block_y, block_z;
  unsigned shared_bytes;
  StreamHandle stream;
  LaunchAttribute* attributes;
  unsigned attribute_count;
};

// CUgraphExecUpdateResultInfo
struct GraphUpdateResult {
  int result;
  GraphNodeHandle error_node;
  GraphNodeHandle error_from_node;
};

enum PoolAttribute : int { kPoolReleaseThreshold = 4, kPoolReservedCurrent = 5, kPoolUsedCurrent = 7 };
inline constexpr int kAllocationPinned = 1;
inline constexpr int kLocationDevice = 1;

// CUmemPoolProps
struct PoolProperties {
  int allocation_type;
  int handle_types;
  struct {
    int type;
    int id;
  } location;
  void* security_attributes;
  size_t max_size;
  unsigned short usage;
  unsigned char reserved[54];
};

}  // namespace rose::runtime::cuda
