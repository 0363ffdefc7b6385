"""Peers on the GPU: torch (cuBLAS, cuDNN) and Triton, measured as bench/gpu measures ROSE (medians of event times)."""
import time

import torch
import triton
import triton.language as tl

DEVICE = "cuda"


def median_seconds(f, inner=10, samples=15):
    for _ in range(5):
        f()
    torch.cuda.synchronize()
    times = []
    for _ in range(samples):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        for _ in range(inner):
            f()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / 1e3 / inner)
    return sorted(times)[len(times) // 2]


@triton.jit
def rms_norm_kernel(x, w, out, epsilon, n: tl.constexpr):
    row = tl.program_id(0)
    columns = tl.arange(0, n)
    v = tl.load(x + row * n + columns).to(tl.float32)
    scale = tl.rsqrt(tl.sum(v * v) / n + epsilon)
    tl.store(out + row * n + columns, (v * scale * tl.load(w + columns).to(tl.float32)).to(out.dtype.element_ty))


@triton.jit
def add_rms_norm_kernel(x, residual, w, out, epsilon, n: tl.constexpr):
    row = tl.program_id(0)
    columns = tl.arange(0, n)
    v = tl.load(x + row * n + columns).to(tl.float32) + tl.load(residual + row * n + columns).to(tl.float32)
    tl.store(residual + row * n + columns, v.to(out.dtype.element_ty))
    scale = tl.rsqrt(tl.sum(v * v) / n + epsilon)
    tl.store(out + row * n + columns, (v * scale * tl.load(w + columns).to(tl.float32)).to(out.dtype.element_ty))


@triton.jit
def softmax_kernel(x, out, n: tl.constexpr):
    row = tl.program_id(0)
    columns = tl.arange(0, n)
    v = tl.load(x + row * n + columns).to(tl.float32)
    e = tl.exp(v - tl.max(v))
    tl.store(out + row * n + columns, (e / tl.sum(e)).to(out.dtype.element_ty))


@triton.jit
def silu_multiply_kernel(x, out, n: tl.constexpr, block: tl.constexpr):
    row = tl.program_id(0)
    columns = tl.program_id(1) * block + tl.arange(0, block)
    gate = tl.load(x + row * 2 * n + columns).to(tl.float32)
    up = tl.load(x + row * 2 * n + n + columns).to(tl.float32)
    tl.store(out + row * n + columns, (gate * tl.sigmoid(gate) * up).to(out.dtype.element_ty))


@triton.jit
def gemm_kernel(a, b, out, m, n, k, tile_m: tl.constexpr, tile_n: tl.constexpr, tile_k: tl.constexpr):
    rows = tl.program_id(0) * tile_m + tl.arange(0, tile_m)
    columns = tl.program_id(1) * tile_n + tl.arange(0, tile_n)
    depth = tl.arange(0, tile_k)
    acc = tl.zeros((tile_m, tile_n), dtype=tl.float32)
    for start in range(0, k, tile_k):
        x = tl.load(a + rows[:, None] * k + start + depth[None, :])
        y = tl.load(b + columns[None, :] * k + start + depth[:, None])
        acc = tl.dot(x, y, acc)
    tl.store(out + rows[:, None] * n + columns[None, :], acc.to(out.dtype.element_ty))


def cold(f):
    """Seconds of the first call, with nothing in Triton's cache (bench/gpu gives it a fresh folder)."""
    start = time.time()
    f()
    torch.cuda.synchronize()
    return time.time() - start


def compile_times():
    x = torch.randn(16, 4096, device=DEVICE, dtype=torch.bfloat16)
    w, out = x[0].clone(), torch.empty_like(x)
    a = torch.randn(256, 4096, device=DEVICE, dtype=torch.bfloat16)
    product = torch.empty(256, 256, device=DEVICE, dtype=torch.bfloat16)
    torch.cuda.synchronize()
    return {"rms_norm": cold(lambda: rms_norm_kernel[(16,)](x, w, out, 1e-6, 4096, num_warps=8)),
            "gemm": cold(lambda: gemm_kernel[(2, 1)](a, a, product, 256, 256, 4096, 128, 256, 64, num_warps=8, num_stages=3))}


def row_times(count=65536, n=4096):
    """Seconds of the best of several launch shapes, for each row-wise kernel."""
    x = torch.randn(count, n, device=DEVICE, dtype=torch.bfloat16)
    w, out, residual = torch.randn(n, device=DEVICE, dtype=torch.bfloat16), torch.empty_like(x), torch.randn_like(x)
    best = lambda f, choices: min(median_seconds(lambda: f(c)) for c in choices)
    warps = (4, 8, 16)
    times = {"copy": median_seconds(lambda: out.copy_(x)),
             "rms_norm": best(lambda c: rms_norm_kernel[(count,)](x, w, out, 1e-6, n, num_warps=c), warps),
             "add_rms_norm": best(lambda c: add_rms_norm_kernel[(count,)](x, residual, w, out, 1e-6, n, num_warps=c), warps),
             "softmax": best(lambda c: softmax_kernel[(count,)](x, out, n, num_warps=c), warps)}
    gate_up = torch.randn(count, 2 * n, device=DEVICE, dtype=torch.bfloat16)
    times["silu_multiply"] = best(lambda c: silu_multiply_kernel[(count, n // c)](gate_up, out, n, c, num_warps=8), (1024, 2048, 4096))
    return times


def gemm_time(m, n, k):
    a = torch.randn(m, k, device=DEVICE, dtype=torch.bfloat16)
    b = torch.randn(n, k, device=DEVICE, dtype=torch.bfloat16)
    out = torch.empty(m, n, device=DEVICE, dtype=torch.bfloat16)
    return median_seconds(lambda: torch.matmul(a, b.T, out=out))


def read_speed():
    """Bytes a second of memory that is only read: a sum over 4 GB."""
    x = torch.zeros(1 << 30, dtype=torch.float32, device=DEVICE)
    return x.numel() * 4 / median_seconds(lambda: torch.sum(x), inner=4, samples=7)


def attention_time(n, heads=32, kv_heads=8, width=128):
    """Seconds of causal attention over one sequence, and which of torch's backends that was: cuDNN, or flash where it is faster
    or cuDNN refuses."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    q = torch.randn(1, heads, n, width, device=DEVICE, dtype=torch.bfloat16)
    k, v = (torch.randn(1, kv_heads, n, width, device=DEVICE, dtype=torch.bfloat16) for _ in range(2))
    best = (None, "")
    for name, backend in (("cuDNN", SDPBackend.CUDNN_ATTENTION), ("flash", SDPBackend.FLASH_ATTENTION)):
        try:
            with sdpa_kernel(backend):
                run = lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
                seconds = median_seconds(run, inner=5, samples=9)
        except RuntimeError as error:
            print(f"attention by {name}: {str(error)[:200]}")
            continue
        if best[0] is None or seconds < best[0]:
            best = (seconds, name)
    return best
