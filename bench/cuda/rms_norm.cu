// The RMS norm of bench/gpu in CUDA C++, to time nvcc: one block a row, the row in registers.
#include <cuda_bf16.h>

constexpr int kHidden = 4096, kThreads = 256, kPerThread = kHidden / kThreads;

extern "C" __global__ void __launch_bounds__(kThreads)
rms_norm(const __nv_bfloat16* x, const __nv_bfloat16* weight, __nv_bfloat16* out, float epsilon) {
  __shared__ float partial[kThreads / 32];
  const __nv_bfloat16* row = x + size_t(blockIdx.x) * kHidden;
  float v[kPerThread], sum = 0;
#pragma unroll
  for (int i = 0; i < kPerThread; i += 8) {
    int at = (i / 8 * kThreads + threadIdx.x) * 8;
    uint4 words = *reinterpret_cast<const uint4*>(row + at);
    const __nv_bfloat162* pairs = reinterpret_cast<const __nv_bfloat162*>(&words);
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      float2 f = __bfloat1622float2(pairs[k]);
      v[i + 2 * k] = f.x, v[i + 2 * k + 1] = f.y;
      sum += f.x * f.x + f.y * f.y;
    }
  }
  for (int d = 16; d > 0; d /= 2) sum += __shfl_xor_sync(~0u, sum, d);
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = sum;
  __syncthreads();
  sum = 0;
#pragma unroll
  for (int w = 0; w < kThreads / 32; ++w) sum += partial[w];
  float scale = rsqrtf(sum / kHidden + epsilon);
#pragma unroll
  for (int i = 0; i < kPerThread; i += 8) {
    int at = (i / 8 * kThreads + threadIdx.x) * 8;
    uint4 words;
    __nv_bfloat162* pairs = reinterpret_cast<__nv_bfloat162*>(&words);
#pragma unroll
    for (int k = 0; k < 4; ++k)
      pairs[k] = __floats2bfloat162_rn(v[i + 2 * k] * scale * __bfloat162float(weight[at + 2 * k]),
                                       v[i + 2 * k + 1] * scale * __bfloat162float(weight[at + 2 * k + 1]));
    *reinterpret_cast<uint4*>(out + size_t(blockIdx.x) * kHidden + at) = words;
  }
}
