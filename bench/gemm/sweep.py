#!/usr/bin/env python3
"""Matrix products at the shapes of Llama-3.1-8B and Qwen3-8B on one GPU, ROSE beside cuBLAS (through torch).

    bench/gemm/sweep.py SWEEP_SM90 [--m 1,2,4] [--shapes 4096x4096,…] [--spec pdl=1] [--json FILE]

Weights are cold: what a launch reads comes round again after 256 MB. Launches stand in a graph, the peer's too. ROSE and
cuBLAS take turns at each point, so that both meet the same clocks. Prints a table of ratios (cuBLAS's time over ROSE's), the share of the memory's read speed for few rows, the geometric mean and the
worst points.
"""
import argparse
import json
import math
import subprocess
import tempfile

SHAPES = [(6144, 4096), (4096, 4096), (28672, 4096), (4096, 14336), (128256, 4096), (24576, 4096), (4096, 12288), (151936, 4096)]
ROWS = [1 << i for i in range(14)]
COLD = 256 << 20


def sweep(program, lines, timeout=400):
    """Seconds of each line "KERNEL M SPEC", None where it failed."""
    done = subprocess.run([program, "-"], input="\n".join(lines) + "\n", stdout=subprocess.PIPE, text=True, timeout=timeout)
    out = {}
    for row in done.stdout.splitlines():
        kernel, m, spec, result = row.split("\t")
        if result.startswith("failed"):
            print("failed:", row, flush=True)
        out[f"{kernel} {m} {spec}"] = None if result.startswith("failed") else float(result) * 1e-6
    return [out.get(line) for line in lines]


class Stepper:
    """The sweep program, one measurement at a time."""

    def __init__(self, program, lines):
        with open(tempfile.mkstemp()[1], "w") as f:
            f.write("\n".join(lines) + "\n")
        self.process = subprocess.Popen([program, f.name, "--step"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()  # everything is compiled

    def next(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        row = self.process.stdout.readline().rstrip("\n").split("\t")
        if len(row) != 4 or row[3].startswith("failed"):
            print("failed:", row, flush=True)
            return None
        return float(row[3]) * 1e-6


def graph_seconds(torch, launch, samples=7, sample=3e-3):
    """Median seconds of one of the launches that launch(i) queues."""
    launch(0)
    torch.cuda.synchronize()
    events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]

    def between(work):
        events[0].record()
        work()
        events[1].record()
        events[1].synchronize()
        return events[0].elapsed_time(events[1]) * 1e-3

    one = between(lambda: [launch(i) for i in range(4)]) / 4
    count = max(4, min(200, int(sample / one)))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for i in range(count):
            launch(i)
    graph.replay()
    torch.cuda.synchronize()
    return sorted(between(graph.replay) / count for _ in range(samples))[samples // 2]


def cublas(torch, points):
    """Yields the seconds of torch's products for each (n, k, m)."""
    pool = torch.empty(3 << 29, dtype=torch.bfloat16, device="cuda")
    pool.normal_()
    for n, k, m in points:
        def pieces(rows, columns, start=0):
            size = rows * columns
            step = (size + 127) // 128 * 128
            count = max(1, min((COLD // 2 + step - 1) // step, pool.numel() // step))
            return [pool[i * step:i * step + size].view(rows, columns) for i in range(count)]
        weights, a = pieces(n, k), pieces(m, k)
        size = m * n
        outs = [torch.empty(m, n, dtype=torch.bfloat16, device="cuda") for _ in range(max(1, min(64, COLD // 2 // size)))]
        yield graph_seconds(torch, lambda i: torch.mm(a[i % len(a)], weights[i % len(weights)].t(), out=outs[i % len(outs)]))


def read_speed(torch):
    x = torch.zeros(1 << 30, dtype=torch.float32, device="cuda")
    best = min(graph_seconds(torch, lambda i: torch.sum(x), samples=5) for _ in range(2))
    return x.numel() * 4 / best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--m", default=",".join(map(str, ROWS)))
    parser.add_argument("--shapes", default=",".join(f"{n}x{k}" for n, k in SHAPES))
    parser.add_argument("--spec", default="pdl=1")
    parser.add_argument("--json")
    options = parser.parse_args()
    rows = [int(m) for m in options.m.split(",")]
    shapes = [tuple(map(int, s.split("x"))) for s in options.shapes.split(",")]
    points = [(n, k, m) for n, k in shapes for m in rows]

    import torch
    speed = read_speed(torch)
    torch.cuda.empty_cache()
    stepper = Stepper(options.program, [f"gemm {m} n={n},k={k},{options.spec}" for n, k, m in points])
    ours, theirs = [], []
    for peer in cublas(torch, points):
        theirs.append(peer)
        ours.append(stepper.next())

    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}; a sum over 4 GB reads {speed / 1e12:.2f} TB/s")
    print("cuBLAS's time / ROSE's ('-': failed); below 128 rows also ROSE's share of the read speed")
    print("n x k".ljust(15) + "".join(f"{m:>11}" for m in rows))
    ratios, worst, slow = [], [], []
    table = []
    for shape in shapes:
        cells = []
        for (n, k, m), mine, peer in zip(points, ours, theirs):
            if (n, k) != shape:
                continue
            table.append({"n": n, "k": k, "m": m, "rose": mine, "cublas": peer})
            if not mine:
                cells.append("-")
                continue
            ratio = peer / mine
            ratios.append(ratio)
            worst.append((ratio, n, k, m))
            cell = f"{ratio:.2f}"
            if m <= 64:
                share = 2 * (n * k + m * (n + k)) / mine / speed
                slow.append((share, n, k, m))
                cell += f" {100 * share:.0f}%"
            cells.append(cell)
        print(f"{shape[0]}x{shape[1]}".ljust(15) + "".join(c.rjust(11) for c in cells))
    print("microseconds, ROSE (cuBLAS):")
    for shape in shapes:
        print(f"{shape[0]}x{shape[1]}".ljust(13) + "".join(
            (f"{t['rose'] * 1e6:.1f}" if t["rose"] else "-").rjust(8) + f"({t['cublas'] * 1e6:.1f})"
            for t in table if (t["n"], t["k"]) == shape))
    if ratios:
        print(f"geometric mean {math.exp(sum(map(math.log, ratios)) / len(ratios)):.3f}; worst " +
              ", ".join(f"{r:.2f} at {n}x{k} M={m}" for r, n, k, m in sorted(worst)[:6]))
    if slow:
        print("least share of the read speed " + ", ".join(f"{100 * s:.0f}% at {n}x{k} M={m}" for s, n, k, m in sorted(slow)[:6]))
    if options.json:
        with open(options.json, "w") as f:
            json.dump({"device": torch.cuda.get_device_name(), "read": speed, "points": table}, f)


if __name__ == "__main__":
    main()
