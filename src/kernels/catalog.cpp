#include "kernels/catalog.h"

#include <fmt/format.h>

#include <cstring>

#include "ir/small_float.h"
#include "kernels/activation/activation.h"
#include "kernels/attention/sm90_attention.h"
#include "kernels/attention/x86_attention.h"
#include "kernels/embedding/embedding.h"
#include "kernels/gemm/gemm.h"
#include "kernels/gemm/sm90.h"
#include "kernels/gemm/sm90_decode.h"
#include "kernels/gemm/sm90_few.h"
#include "kernels/gemm/x86_gemm.h"
#include "kernels/norm/layer_norm.h"
#include "kernels/norm/rms_norm.h"
#include "kernels/quantize/quantize.h"
#include "kernels/rope/qk_rope_cache.h"
#include "kernels/rope/rotary.h"
#include "kernels/sampling/sample.h"
#include "kernels/softmax/softmax.h"

namespace rose::kernels {

std::span<const CatalogEntry> catalog() {
  static const std::vector<CatalogEntry> entries{
      rms_norm_entry(),         layer_norm_entry(),
      activation_entry(),       softmax_entry(),
      rotary_entry(),           qk_rope_cache_entry(),
      embedding_entry(),        quantize_entry(),
      sample_entry(),           gemm_entry(),
      gemm_few_entry(),         gemm_decode_entry(),
      gemm_sm90_entry(),        gemm_x86_entry(),
      x86_activations_entry(),  x86_attention_entry(),
      attention_sm90_entry(),   decode_attention_sm90_entry(),
      decode_plan_sm90_entry(),
  };
  return entries;
}

const CatalogEntry& catalog_entry(std::string_view name) {
  std::string names;
  for (const auto& e : catalog()) {
    if (e.name == name) return e;
    names += (names.empty() ? "" : ", ") + e.name;
  }
  throw KernelError(fmt::format("no kernel '{}'; the kernels are {}", name, names));
}

const runtime::Program& program(runtime::Context& context, std::string_view kernel, const std::string& spec,
                                const std::function<ir::Kernel(const ir::Target&)>& record) {
  ir::Target target = runtime::target_of(context.properties());
  runtime::ProgramKey key(kernel, spec, ir::to_string(target), runtime::generator_version());
  return context.cache().get(key, [&] { return runtime::compile(record(target)); });
}

runtime::Buffer random_buffer(runtime::Context& context, ir::Type dtype, int64_t count, uint64_t seed) {
  size_t width = static_cast<size_t>(dtype.bits() / 8), total = static_cast<size_t>(count);
  std::vector<uint8_t> bytes(total * width);
  // Beyond the period the values repeat: making random numbers must not take longer than the benchmark.
  const size_t period = std::min<size_t>(total, (1 << 20) - 3);
  uint64_t state = seed * 0x9e3779b97f4a7c15ull + 1;
  for (size_t i = 0; i < period; ++i) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    uint64_t bits = state >> 33;
    double value = static_cast<double>(bits) / (1u << 30) - 1.0;
    uint64_t pattern = bits;
    if (dtype.is_float() && dtype.bits() >= 16)
      pattern = ir::constant(dtype, value).bits;
    else if (dtype == ir::e4m3)
      pattern = (bits & 0x80) | (bits % 0x38);  // below one in size
    else if (dtype == ir::e5m2)
      pattern = (bits & 0x80) | (bits % 0x3c);
    std::memcpy(&bytes[i * width], &pattern, width);
  }
  for (size_t done = period; done < total; done += std::min(period, total - done))
    std::memcpy(&bytes[done * width], bytes.data(), std::min(period, total - done) * width);
  runtime::Buffer buffer = context.device().allocate(bytes.size());
  context.stream().upload(buffer, bytes.data(), bytes.size());
  context.stream().synchronize();
  return buffer;
}

}  // namespace rose::kernels
