// A matrix product in CUDA C++ through nvcc's wmma interface, to time nvcc. Much simpler than ROSE's (no TMA, no wgmma,
// no pipeline): a lower bound of what nvcc needs for a real one.
#include <cuda_bf16.h>
#include <mma.h>

using namespace nvcuda;

extern "C" __global__ void __launch_bounds__(256)
gemm(const __nv_bfloat16* a, const __nv_bfloat16* b, __nv_bfloat16* out, int n, int k) {
  __shared__ __nv_bfloat16 sA[128][72], sB[128][72];
  __shared__ float sC[8][16][20];
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32, wm = warp / 2 * 32, wn = warp % 2 * 64;
  wmma::fragment<wmma::accumulator, 16, 16, 16, float> acc[2][4];
#pragma unroll
  for (int i = 0; i < 2; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j) wmma::fill_fragment(acc[i][j], 0.0f);
  for (int kt = 0; kt < k; kt += 64) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      int at = (i * 256 + threadIdx.x) * 8, row = at / 64, column = at % 64;
      *reinterpret_cast<uint4*>(&sA[row][column]) = *reinterpret_cast<const uint4*>(a + size_t(blockIdx.y * 128 + row) * k + kt + column);
      *reinterpret_cast<uint4*>(&sB[row][column]) = *reinterpret_cast<const uint4*>(b + size_t(blockIdx.x * 128 + row) * k + kt + column);
    }
    __syncthreads();
#pragma unroll
    for (int kk = 0; kk < 64; kk += 16) {
      wmma::fragment<wmma::matrix_a, 16, 16, 16, __nv_bfloat16, wmma::row_major> fa[2];
      wmma::fragment<wmma::matrix_b, 16, 16, 16, __nv_bfloat16, wmma::col_major> fb[4];
#pragma unroll
      for (int i = 0; i < 2; ++i) wmma::load_matrix_sync(fa[i], &sA[wm + 16 * i][kk], 72);
#pragma unroll
      for (int j = 0; j < 4; ++j) wmma::load_matrix_sync(fb[j], &sB[wn + 16 * j][kk], 72);
#pragma unroll
      for (int i = 0; i < 2; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) wmma::mma_sync(acc[i][j], fa[i], fb[j], acc[i][j]);
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < 2; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      wmma::store_matrix_sync(&sC[warp][0][0], acc[i][j], 20, wmma::mem_row_major);
      __syncwarp();
      for (int e = lane; e < 256; e += 32)
        out[size_t(blockIdx.y * 128 + wm + 16 * i + e / 16) * n + blockIdx.x * 128 + wn + 16 * j + e % 16] = __float2bfloat16(sC[warp][e / 16][e % 16]);
      __syncwarp();
    }
}
