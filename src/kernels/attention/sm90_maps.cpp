#include "kernels/attention/sm90_maps.h"

namespace rose::kernels {
namespace {

runtime::TensorMapSpec boxes_of_64(ir::Type dtype, runtime::DevicePointer base) {
  runtime::TensorMapSpec s;
  s.type = dtype == ir::bf16 ? runtime::TensorMapType::kBf16 : runtime::TensorMapType::kF16;
  s.base = base;
  s.swizzle = runtime::TensorMapSwizzle::k128Bytes;
  return s;
}

}  // namespace

runtime::TensorMapSpec attention_rows_map(ir::Type dtype, runtime::DevicePointer base, int64_t head_dim,
                                          int64_t heads, int64_t tokens, int64_t stride, int box_tokens,
                                          int box_heads) {
  auto s = boxes_of_64(dtype, base);
  s.rank = 3;
  s.dims = {static_cast<uint64_t>(head_dim), static_cast<uint64_t>(heads), static_cast<uint64_t>(tokens), 1,
            1};
  s.strides = {static_cast<uint64_t>(head_dim) * 2, static_cast<uint64_t>(stride) * 2, 0, 0};
  s.box = {64, static_cast<uint32_t>(box_heads), static_cast<uint32_t>(box_tokens), 1, 1};
  return s;
}

runtime::TensorMapSpec attention_cache_map(ir::Type dtype, runtime::DevicePointer base, int64_t head_dim,
                                           int64_t heads, int64_t block_size, int box_tokens) {
  auto s = boxes_of_64(dtype, base);
  auto dim = static_cast<uint64_t>(head_dim), count = static_cast<uint64_t>(heads),
       tokens = static_cast<uint64_t>(block_size);
  s.rank = 4;
  s.dims = {dim, count, tokens, uint64_t{1} << 31, 1};
  s.strides = {dim * 2, dim * count * 2, dim * count * tokens * 2, 0};
  s.box = {64, 1, static_cast<uint32_t>(box_tokens), 1, 1};
  return s;
}

}  // namespace rose::kernels
