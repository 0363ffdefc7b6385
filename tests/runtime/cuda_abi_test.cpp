// Compares our declarations of the CUDA driver's binary interface with NVIDIA's own header, where a toolkit
// is there.
#include "runtime/cuda/abi.h"

#include <gtest/gtest.h>

#include "runtime/tensor_map.h"

#if __has_include("/usr/local/cuda/include/cuda.h")
#include "/usr/local/cuda/include/cuda.h"

namespace rose::runtime::cuda {
namespace {

// All of it is known while compiling: this file compiles, or the interface is wrong.
static_assert(kSuccess == CUDA_SUCCESS && kInvalidValue == CUDA_ERROR_INVALID_VALUE &&
              kOutOfMemory == CUDA_ERROR_OUT_OF_MEMORY && kNotInitialized == CUDA_ERROR_NOT_INITIALIZED &&
              kDeinitialized == CUDA_ERROR_DEINITIALIZED && kStubLibrary == CUDA_ERROR_STUB_LIBRARY &&
              kNeedsNewerDriver == CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER &&
              kDeviceUnavailable == CUDA_ERROR_DEVICE_UNAVAILABLE && kNoDevice == CUDA_ERROR_NO_DEVICE &&
              kInvalidDevice == CUDA_ERROR_INVALID_DEVICE && kInvalidImage == CUDA_ERROR_INVALID_IMAGE &&
              kInvalidContext == CUDA_ERROR_INVALID_CONTEXT &&
              kNoBinaryForGpu == CUDA_ERROR_NO_BINARY_FOR_GPU &&
              kEccUncorrectable == CUDA_ERROR_ECC_UNCORRECTABLE && kInvalidPtx == CUDA_ERROR_INVALID_PTX &&
              kNvlinkUncorrectable == CUDA_ERROR_NVLINK_UNCORRECTABLE &&
              kJitCompilerNotFound == CUDA_ERROR_JIT_COMPILER_NOT_FOUND &&
              kUnsupportedPtxVersion == CUDA_ERROR_UNSUPPORTED_PTX_VERSION &&
              kJitDisabled == CUDA_ERROR_JIT_COMPILATION_DISABLED && kContained == CUDA_ERROR_CONTAINED &&
              kInvalidSource == CUDA_ERROR_INVALID_SOURCE && kInvalidHandle == CUDA_ERROR_INVALID_HANDLE &&
              kNotFound == CUDA_ERROR_NOT_FOUND && kNotReady == CUDA_ERROR_NOT_READY);
static_assert(kIllegalAddress == CUDA_ERROR_ILLEGAL_ADDRESS &&
              kLaunchOutOfResources == CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES &&
              kLaunchTimeout == CUDA_ERROR_LAUNCH_TIMEOUT &&
              kContextDestroyed == CUDA_ERROR_CONTEXT_IS_DESTROYED && kAssert == CUDA_ERROR_ASSERT &&
              kHardwareStackError == CUDA_ERROR_HARDWARE_STACK_ERROR &&
              kIllegalInstruction == CUDA_ERROR_ILLEGAL_INSTRUCTION &&
              kMisalignedAddress == CUDA_ERROR_MISALIGNED_ADDRESS &&
              kInvalidAddressSpace == CUDA_ERROR_INVALID_ADDRESS_SPACE &&
              kInvalidPc == CUDA_ERROR_INVALID_PC && kLaunchFailed == CUDA_ERROR_LAUNCH_FAILED &&
              kCooperativeTooLarge == CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE &&
              kTensorMemoryLeak == CUDA_ERROR_TENSOR_MEMORY_LEAK &&
              kNotPermitted == CUDA_ERROR_NOT_PERMITTED && kNotSupported == CUDA_ERROR_NOT_SUPPORTED &&
              kSystemNotReady == CUDA_ERROR_SYSTEM_NOT_READY &&
              kSystemDriverMismatch == CUDA_ERROR_SYSTEM_DRIVER_MISMATCH &&
              kCompatNotSupported == CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE &&
              kCaptureUnsupported == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED &&
              kCaptureInvalidated == CUDA_ERROR_STREAM_CAPTURE_INVALIDATED &&
              kGraphUpdateFailure == CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE &&
              kInvalidClusterSize == CUDA_ERROR_INVALID_CLUSTER_SIZE);

static_assert(int(kMaxThreadsPerBlock) == CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK &&
              int(kClockRate) == CU_DEVICE_ATTRIBUTE_CLOCK_RATE &&
              int(kProcessorCount) == CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT &&
              int(kPciBusId) == CU_DEVICE_ATTRIBUTE_PCI_BUS_ID &&
              int(kPciDeviceId) == CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID &&
              int(kMemoryClockRate) == CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE &&
              int(kMemoryBusWidth) == CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH &&
              int(kL2CacheSize) == CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE &&
              int(kMaxThreadsPerProcessor) == CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR &&
              int(kPciDomainId) == CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID &&
              int(kCapabilityMajor) == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR &&
              int(kCapabilityMinor) == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR &&
              int(kSharedMemoryPerProcessor) == CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR &&
              int(kMaxSharedMemoryOptIn) == CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN &&
              int(kMemoryPoolsSupported) == CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED &&
              int(kTensorMapSupported) == CU_DEVICE_ATTRIBUTE_TENSOR_MAP_ACCESS_SUPPORTED);
static_assert(int(kFunctionMaxThreads) == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK &&
              int(kFunctionSharedBytes) == CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES &&
              int(kFunctionLocalBytes) == CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES &&
              int(kFunctionRegisters) == CU_FUNC_ATTRIBUTE_NUM_REGS &&
              int(kFunctionMaxDynamicShared) == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES &&
              int(kFunctionNonPortableCluster) == CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED);
static_assert(int(kJitInfoLog) == CU_JIT_INFO_LOG_BUFFER &&
              int(kJitInfoLogBytes) == CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES &&
              int(kJitErrorLog) == CU_JIT_ERROR_LOG_BUFFER &&
              int(kJitErrorLogBytes) == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES &&
              int(kJitLogVerbose) == CU_JIT_LOG_VERBOSE && sizeof(JitOption) == sizeof(CUjit_option));
static_assert(int(kStreamNonBlocking) == CU_STREAM_NON_BLOCKING && int(kEventDefault) == CU_EVENT_DEFAULT &&
              int(kEventDisableTiming) == CU_EVENT_DISABLE_TIMING &&
              int(kHostPortable) == CU_MEMHOSTALLOC_PORTABLE &&
              int(kCaptureGlobal) == CU_STREAM_CAPTURE_MODE_GLOBAL &&
              int(kCaptureThreadLocal) == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL &&
              int(kCaptureRelaxed) == CU_STREAM_CAPTURE_MODE_RELAXED &&
              int(kCaptureNone) == CU_STREAM_CAPTURE_STATUS_NONE &&
              int(kCaptureActive) == CU_STREAM_CAPTURE_STATUS_ACTIVE &&
              int(kGetProcDefault) == CU_GET_PROC_ADDRESS_DEFAULT);
static_assert(int(kLaunchCooperative) == CU_LAUNCH_ATTRIBUTE_COOPERATIVE &&
              int(kLaunchClusterDimension) == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION &&
              int(kLaunchProgrammaticSerialization) == CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION);
static_assert(int(kPoolReleaseThreshold) == CU_MEMPOOL_ATTR_RELEASE_THRESHOLD &&
              int(kPoolReservedCurrent) == CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT &&
              int(kPoolUsedCurrent) == CU_MEMPOOL_ATTR_USED_MEM_CURRENT &&
              kAllocationPinned == CU_MEM_ALLOCATION_TYPE_PINNED &&
              kLocationDevice == CU_MEM_LOCATION_TYPE_DEVICE);

static_assert(sizeof(LaunchAttributeValue) == sizeof(CUlaunchAttributeValue) &&
              sizeof(LaunchAttribute) == sizeof(CUlaunchAttribute) &&
              offsetof(LaunchAttribute, value) == offsetof(CUlaunchAttribute, value) &&
              alignof(LaunchAttribute) == alignof(CUlaunchAttribute));
static_assert(sizeof(LaunchConfig) == sizeof(CUlaunchConfig) &&
              offsetof(LaunchConfig, block_x) == offsetof(CUlaunchConfig, blockDimX) &&
              offsetof(LaunchConfig, shared_bytes) == offsetof(CUlaunchConfig, sharedMemBytes) &&
              offsetof(LaunchConfig, stream) == offsetof(CUlaunchConfig, hStream) &&
              offsetof(LaunchConfig, attributes) == offsetof(CUlaunchConfig, attrs) &&
              offsetof(LaunchConfig, attribute_count) == offsetof(CUlaunchConfig, numAttrs));
static_assert(sizeof(PoolProperties) == sizeof(CUmemPoolProps) &&
              offsetof(PoolProperties, location) == offsetof(CUmemPoolProps, location) &&
              offsetof(PoolProperties, max_size) == offsetof(CUmemPoolProps, maxSize) &&
              offsetof(PoolProperties, reserved) == offsetof(CUmemPoolProps, reserved));
static_assert(sizeof(GraphUpdateResult) == sizeof(CUgraphExecUpdateResultInfo) &&
              offsetof(GraphUpdateResult, error_node) == offsetof(CUgraphExecUpdateResultInfo, errorNode));

static_assert(sizeof(TensorMap) == sizeof(CUtensorMap) && alignof(TensorMap) >= alignof(CUtensorMap));
static_assert(int(TensorMapType::kU8) == CU_TENSOR_MAP_DATA_TYPE_UINT8 &&
              int(TensorMapType::kS64) == CU_TENSOR_MAP_DATA_TYPE_INT64 &&
              int(TensorMapType::kF16) == CU_TENSOR_MAP_DATA_TYPE_FLOAT16 &&
              int(TensorMapType::kF32) == CU_TENSOR_MAP_DATA_TYPE_FLOAT32 &&
              int(TensorMapType::kF64) == CU_TENSOR_MAP_DATA_TYPE_FLOAT64 &&
              int(TensorMapType::kBf16) == CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 &&
              int(TensorMapType::kTf32Ftz) == CU_TENSOR_MAP_DATA_TYPE_TFLOAT32_FTZ &&
              int(TensorMapType::kU4Align8) == CU_TENSOR_MAP_DATA_TYPE_16U4_ALIGN8B &&
              int(TensorMapType::kU4Align16) == CU_TENSOR_MAP_DATA_TYPE_16U4_ALIGN16B &&
              int(TensorMapType::kU6Align16) == CU_TENSOR_MAP_DATA_TYPE_16U6_ALIGN16B);
static_assert(int(TensorMapSwizzle::k128Bytes) == CU_TENSOR_MAP_SWIZZLE_128B &&
              int(TensorMapSwizzle::k128BytesAtom32) == CU_TENSOR_MAP_SWIZZLE_128B_ATOM_32B &&
              int(TensorMapSwizzle::k128BytesAtom32Flip8) == CU_TENSOR_MAP_SWIZZLE_128B_ATOM_32B_FLIP_8B &&
              int(TensorMapSwizzle::k128BytesAtom64) == CU_TENSOR_MAP_SWIZZLE_128B_ATOM_64B &&
              int(TensorMapInterleave::k32Bytes) == CU_TENSOR_MAP_INTERLEAVE_32B &&
              int(TensorMapL2::k256Bytes) == CU_TENSOR_MAP_L2_PROMOTION_L2_256B &&
              int(TensorMapFill::kNan) == CU_TENSOR_MAP_FLOAT_OOB_FILL_NAN_REQUEST_ZERO_FMA);

TEST(CudaAbiTest, MatchesTheToolkitsHeader) { SUCCEED() << "the static assertions above have held"; }

}  // namespace
}  // namespace rose::runtime::cuda

#else

TEST(CudaAbiTest, MatchesTheToolkitsHeader) {
  GTEST_SKIP() << "no /usr/local/cuda/include/cuda.h on this machine";
}

#endif
