#include "models/linear.h"

#include "ir/small_float.h"
#include "weights/dequantize.h"

namespace rose::models {

Linear::Linear(const Build& build, const LinearParts& parts) {
  const uint64_t k = parts.matrices[0]->row_elements();
  for (auto* t : parts.matrices)
    if (t->rank() != 2 || t->row_elements() != k)
      fail("{}: {}: a matrix with rows of {} elements is needed, found {}",
           build.checkpoint.tensors().path_of(*t).string(), t->name, k, weights::shape_text(t->shape));
  kernel_ = build.compute.gpu ? make_linear_gpu(build, parts) : make_linear_x86(build, parts);
}

runtime::Buffer upload(runtime::Context& context, std::span<const float> values, ir::Type dtype) {
  auto put = [&](const void* data, size_t bytes) {
    auto buffer = context.device().allocate(bytes);
    context.stream().upload(buffer, data, bytes);
    context.stream().synchronize();
    return buffer;
  };
  if (dtype == ir::f32) return put(values.data(), values.size_bytes());
  std::vector<uint16_t> rounded(values.size());
  for (size_t i = 0; i < values.size(); ++i)
    rounded[i] = static_cast<uint16_t>(ir::bits_of(dtype, values[i]));
  return put(rounded.data(), rounded.size() * 2);
}

std::vector<float> floats(const Checkpoint& checkpoint, std::string_view name,
                          std::initializer_list<int64_t> shape) {
  return weights::dequantize(checkpoint.tensor(name, shape));
}

}  // namespace rose::models
