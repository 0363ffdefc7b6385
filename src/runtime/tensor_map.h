// Tensor maps: the descriptors with which a GPU's tensor memory accelerator (TMA) finds its way in a tensor.
#pragma once

#include <array>
#include <cstdint>

#include "runtime/memory.h"

namespace rose::runtime {

/// The numeric values of the enumerations below are those of the CUDA driver (CUtensorMap…).
enum class TensorMapType : uint32_t {
  kU8 = 0,  // also fp8: TMA only moves bytes
  kU16 = 1,
  kU32 = 2,
  kS32 = 3,
  kU64 = 4,
  kS64 = 5,
  kF16 = 6,
  kF32 = 7,
  kF64 = 8,
  kBf16 = 9,
  kF32Ftz = 10,
  kTf32 = 11,
  kTf32Ftz = 12,
  kU4Align8 = 13,   // 16 packed 4-bit values in 8 bytes
  kU4Align16 = 14,  // 16 packed 4-bit values, padded to 16 bytes in shared memory
  kU6Align16 = 15,  // 16 packed 6-bit values, padded to 16 bytes in shared memory
};
enum class TensorMapInterleave : uint32_t { kNone = 0, k16Bytes = 1, k32Bytes = 2 };
enum class TensorMapSwizzle : uint32_t {
  kNone = 0,
  k32Bytes = 1,
  k64Bytes = 2,
  k128Bytes = 3,
  k128BytesAtom32 = 4,
  k128BytesAtom32Flip8 = 5,
  k128BytesAtom64 = 6,
};
enum class TensorMapL2 : uint32_t { kNone = 0, k64Bytes = 1, k128Bytes = 2, k256Bytes = 3 };
enum class TensorMapFill : uint32_t { kZero = 0, kNan = 1 };

/// A tensor in device memory and the box that one TMA operation moves. Dimension 0 is the contiguous one.
struct TensorMapSpec {
  TensorMapType type = TensorMapType::kBf16;
  uint32_t rank = 1;                                          // 1 to 5; entries beyond it are ignored
  DevicePointer base;                                         // 16-byte aligned
  std::array<uint64_t, 5> dims = {1, 1, 1, 1, 1};             // elements, 1 to 2^32
  std::array<uint64_t, 4> strides = {0, 0, 0, 0};             // bytes between neighbours in dimension i + 1
  std::array<uint32_t, 5> box = {1, 1, 1, 1, 1};              // elements, 1 to 256
  std::array<uint32_t, 5> element_strides = {1, 1, 1, 1, 1};  // 1 to 8
  TensorMapInterleave interleave = TensorMapInterleave::kNone;
  TensorMapSwizzle swizzle = TensorMapSwizzle::kNone;
  TensorMapL2 l2 = TensorMapL2::k128Bytes;
  TensorMapFill fill = TensorMapFill::kZero;  // what reads outside of the tensor give
};

/// The encoded descriptor, opaque, passed to kernels by value. The driver's manual asks for 64-byte
/// alignment; the header of CUDA 13 gives 128.
struct alignas(128) TensorMap {
  std::array<uint64_t, 16> words = {};
};

/// Bits of one element in global memory.
uint32_t element_bits(TensorMapType type);

/// Bytes from the first to behind the last element of the tensor.
uint64_t span_bytes(const TensorMapSpec& spec);

/// Throws DeviceError (kInvalidArgument) that names the field, its value and the rule, if the driver would
/// refuse the spec. The rules are those of cuTensorMapEncodeTiled in the CUDA driver API manual.
void check_tensor_map(const TensorMapSpec& spec);

}  // namespace rose::runtime
