#include "runtime/tensor_map.h"

#include <fmt/format.h>

#include "runtime/error.h"

namespace rose::runtime {
namespace {

[[noreturn]] void refuse(const std::string& what) {
  throw DeviceError(ErrorKind::kInvalidArgument, "tensor map: " + what);
}

bool is_float(TensorMapType type) {
  switch (type) {
    case TensorMapType::kF16:
    case TensorMapType::kF32:
    case TensorMapType::kF64:
    case TensorMapType::kBf16:
    case TensorMapType::kF32Ftz:
    case TensorMapType::kTf32:
    case TensorMapType::kTf32Ftz:
      return true;
    default:
      return false;
  }
}

bool is_padded(TensorMapType type) {
  return type == TensorMapType::kU4Align16 || type == TensorMapType::kU6Align16;
}

uint32_t swizzle_span(TensorMapSwizzle swizzle) {
  switch (swizzle) {
    case TensorMapSwizzle::kNone:
      return 0;
    case TensorMapSwizzle::k32Bytes:
      return 32;
    case TensorMapSwizzle::k64Bytes:
      return 64;
    default:
      return 128;
  }
}

void check_enumerations(const TensorMapSpec& spec) {
  if (static_cast<uint32_t>(spec.type) > 15) refuse(fmt::format("type {} is unknown", uint32_t(spec.type)));
  if (static_cast<uint32_t>(spec.interleave) > 2)
    refuse(fmt::format("interleave {} is unknown", uint32_t(spec.interleave)));
  if (static_cast<uint32_t>(spec.swizzle) > 6)
    refuse(fmt::format("swizzle {} is unknown", uint32_t(spec.swizzle)));
  if (static_cast<uint32_t>(spec.l2) > 3) refuse(fmt::format("l2 {} is unknown", uint32_t(spec.l2)));
  if (static_cast<uint32_t>(spec.fill) > 1) refuse(fmt::format("fill {} is unknown", uint32_t(spec.fill)));
  if (spec.fill == TensorMapFill::kNan && !is_float(spec.type)) {
    refuse("fill is NaN, but the type is no floating-point type (fp8 maps as bytes); use zero");
  }
}

void check_dimension(const TensorMapSpec& spec, uint32_t i) {
  if (spec.dims[i] == 0 || spec.dims[i] > (uint64_t{1} << 32)) {
    refuse(
        fmt::format("dims[{}] is {}, must be 1 to 2^32 (do not launch on an empty tensor)", i, spec.dims[i]));
  }
  if (spec.box[i] == 0 || spec.box[i] > 256) {
    refuse(fmt::format("box[{}] is {}, must be 1 to 256 elements", i, spec.box[i]));
  }
  if (spec.element_strides[i] == 0 || spec.element_strides[i] > 8) {
    refuse(fmt::format("element_strides[{}] is {}, must be 1 to 8", i, spec.element_strides[i]));
  }
}

void check_packed(const TensorMapSpec& spec) {
  if (is_padded(spec.type)) {
    if (spec.dims[0] % 128)
      refuse(fmt::format("dims[0] is {}, must be a multiple of 128 for this type", spec.dims[0]));
    if (spec.box[0] != 128) refuse(fmt::format("box[0] is {}, must be 128 for this type", spec.box[0]));
    if (spec.swizzle != TensorMapSwizzle::kNone && spec.swizzle != TensorMapSwizzle::k128Bytes &&
        spec.swizzle != TensorMapSwizzle::k128BytesAtom32 &&
        !(spec.swizzle == TensorMapSwizzle::k128BytesAtom64 && spec.type == TensorMapType::kU6Align16)) {
      refuse(fmt::format("swizzle {} is not possible with this padded type", uint32_t(spec.swizzle)));
    }
  }
  if (spec.type == TensorMapType::kU6Align16 && spec.interleave != TensorMapInterleave::kNone) {
    refuse("interleave must be none for 6-bit elements");
  }
  if (spec.type == TensorMapType::kU4Align8 && spec.dims[0] % 2) {
    refuse(fmt::format("dims[0] is {}, must be even for 4-bit elements", spec.dims[0]));
  }
}

}  // namespace

uint32_t element_bits(TensorMapType type) {
  switch (type) {
    case TensorMapType::kU8:
      return 8;
    case TensorMapType::kU16:
    case TensorMapType::kF16:
    case TensorMapType::kBf16:
      return 16;
    case TensorMapType::kU64:
    case TensorMapType::kS64:
    case TensorMapType::kF64:
      return 64;
    case TensorMapType::kU4Align8:
    case TensorMapType::kU4Align16:
      return 4;
    case TensorMapType::kU6Align16:
      return 6;
    default:
      return 32;
  }
}

uint64_t span_bytes(const TensorMapSpec& spec) {
  uint64_t bytes = (spec.dims[0] * element_bits(spec.type) + 7) / 8;
  for (uint32_t i = 1; i < spec.rank; ++i) bytes += (spec.dims[i] - 1) * spec.strides[i - 1];
  return bytes;
}

void check_tensor_map(const TensorMapSpec& spec) {
  check_enumerations(spec);
  const bool interleaved = spec.interleave != TensorMapInterleave::kNone;
  const uint32_t least_rank = interleaved ? 3 : 1;
  if (spec.rank < least_rank || spec.rank > 5) {
    refuse(fmt::format("rank is {}, must be {} to 5{}", spec.rank, least_rank,
                       interleaved ? " when interleaved" : ""));
  }

  const bool wide = spec.interleave == TensorMapInterleave::k32Bytes || is_padded(spec.type);
  const uint64_t alignment = wide ? 32 : 16;
  if (!spec.base || spec.base.address % alignment) {
    refuse(fmt::format("base is {:#x}, must be {}-byte aligned and not null", spec.base.address, alignment));
  }
  for (uint32_t i = 0; i < spec.rank; ++i) check_dimension(spec, i);
  for (uint32_t i = 0; i + 1 < spec.rank; ++i) {
    if (spec.strides[i] % alignment || spec.strides[i] >= (uint64_t{1} << 40)) {
      refuse(fmt::format("strides[{}] (of dimension {}) is {} bytes, must be a multiple of {} below 2^40", i,
                         i + 1, spec.strides[i], alignment));
    }
  }
  check_packed(spec);

  // Bytes of the box's inner dimension in shared memory; padded types hold 16 elements in 16 bytes there.
  const uint64_t inner =
      is_padded(spec.type) ? spec.box[0] : uint64_t{spec.box[0]} * element_bits(spec.type) / 8;
  const bool whole = uint64_t{spec.box[0]} * element_bits(spec.type) % 8 == 0;
  if (!interleaved && (!whole || inner % 16)) {
    refuse(fmt::format("box[0] is {} elements of {} bits = {} bytes, must be a multiple of 16 bytes",
                       spec.box[0], element_bits(spec.type), inner));
  }
  const uint32_t span = swizzle_span(spec.swizzle);
  if (!interleaved && span && inner > span) {
    refuse(fmt::format(
        "box[0] is {} elements of {} bits = {} bytes, above the {} bytes of the swizzle; cut the box",
        spec.box[0], element_bits(spec.type), inner, span));
  }
  if (spec.interleave == TensorMapInterleave::k32Bytes && spec.swizzle != TensorMapSwizzle::k32Bytes) {
    refuse("interleave of 32 bytes needs the 32-byte swizzle");
  }
}

}  // namespace rose::runtime
