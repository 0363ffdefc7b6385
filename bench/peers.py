"""Peers on the GPU, measured in the same run as ROSE: torch (cuBLAS, cuDNN) and Triton. Prints one line a result."""
import argparse
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


def report(name, seconds, bytes_moved=0, operations=0):
    print(f"{name}: {seconds * 1e6:.2f} us  {bytes_moved / seconds / 1e12:.3f} TB/s  {operations / seconds / 1e12:.1f} TFLOP/s", flush=True)


@triton.jit
def triton_rms_norm(x, w, out, epsilon, n: tl.constexpr, block: tl.constexpr):
    row = tl.program_id(0)
    columns = tl.arange(0, block)
    v = tl.load(x + row * n + columns, mask=columns < n, other=0.0).to(tl.float32)
    scale = tl.rsqrt(tl.sum(v * v) / n + epsilon)
    weight = tl.load(w + columns, mask=columns < n, other=0.0).to(tl.float32)
    tl.store(out + row * n + columns, (v * scale * weight).to(out.dtype.element_ty), mask=columns < n)


@triton.jit
def triton_add_rms_norm(x, residual, w, out, epsilon, n: tl.constexpr, block: tl.constexpr):
    row = tl.program_id(0)
    columns = tl.arange(0, block)
    v = tl.load(x + row * n + columns).to(tl.float32) + tl.load(residual + row * n + columns).to(tl.float32)
    tl.store(residual + row * n + columns, v.to(out.dtype.element_ty))
    scale = tl.rsqrt(tl.sum(v * v) / n + epsilon)
    tl.store(out + row * n + columns, (v * scale * tl.load(w + columns).to(tl.float32)).to(out.dtype.element_ty))


@triton.jit
def triton_softmax(x, out, n: tl.constexpr, block: tl.constexpr):
    row = tl.program_id(0)
    columns = tl.arange(0, block)
    v = tl.load(x + row * n + columns).to(tl.float32)
    e = tl.exp(v - tl.max(v))
    tl.store(out + row * n + columns, (e / tl.sum(e)).to(out.dtype.element_ty))


@triton.jit
def triton_silu_multiply(x, out, n: tl.constexpr, block: tl.constexpr):
    row = tl.program_id(0)
    columns = tl.program_id(1) * block + tl.arange(0, block)
    gate = tl.load(x + row * 2 * n + columns).to(tl.float32)
    up = tl.load(x + row * 2 * n + n + columns).to(tl.float32)
    tl.store(out + row * n + columns, (gate * tl.sigmoid(gate) * up).to(out.dtype.element_ty))


def rows(count=65536, n=4096):
    x = torch.randn(count, n, device=DEVICE, dtype=torch.bfloat16)
    w = torch.randn(n, device=DEVICE, dtype=torch.bfloat16)
    out, residual = torch.empty_like(x), torch.randn_like(x)
    size = x.numel() * 2
    report("torch copy", median_seconds(lambda: out.copy_(x)), 2 * size)
    start = time.time()
    triton_rms_norm[(1,)](x, w, out, 1e-6, n, n, num_warps=8)
    torch.cuda.synchronize()
    print(f"triton rms_norm compiled cold in {time.time() - start:.2f} s", flush=True)
    report("triton rms_norm", min(median_seconds(lambda: triton_rms_norm[(count,)](x, w, out, 1e-6, n, n, num_warps=warps)) for warps in (4, 8, 16)), 2 * size)
    report("triton add + rms_norm", min(median_seconds(lambda: triton_add_rms_norm[(count,)](x, residual, w, out, 1e-6, n, n, num_warps=warps)) for warps in (4, 8, 16)), 4 * size)
    report("triton softmax", min(median_seconds(lambda: triton_softmax[(count,)](x, out, n, n, num_warps=warps)) for warps in (4, 8, 16)), 2 * size)
    gate_up = torch.randn(count, 2 * n, device=DEVICE, dtype=torch.bfloat16)
    report("triton silu_multiply", min(median_seconds(lambda: triton_silu_multiply[(count, n // block)](gate_up, out, n, block, num_warps=8)) for block in (1024, 2048, 4096)), 3 * size)


def gemm(sizes):
    for m, n, k in sizes:
        a = torch.randn(m, k, device=DEVICE, dtype=torch.bfloat16)
        b = torch.randn(n, k, device=DEVICE, dtype=torch.bfloat16)
        out = torch.empty(m, n, device=DEVICE, dtype=torch.bfloat16)
        report(f"cublas bf16 {m}x{n}x{k}", median_seconds(lambda: torch.matmul(a, b.T, out=out)), 2 * (m * k + n * k + m * n), 2 * m * n * k)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["rows", "gemm", "all"], nargs="?", default="all")
    what = parser.parse_args().what
    print(torch.cuda.get_device_name(), "torch", torch.__version__, "triton", triton.__version__, flush=True)
    if what in ("rows", "all"):
        rows()
    if what in ("gemm", "all"):
        gemm([(4096, 4096, 4096), (8192, 8192, 8192), (2048, 4096, 4096), (1000, 4096, 520)])
