#!/usr/bin/env python3
"""Generation beside llama.cpp: the same file, the same threads, one run.

Prompt processing (pp) and generation (tg) as llama-bench defines them: a prompt of random tokens in one go, and
single tokens on an empty cache, neither with sampling; one run to warm up, then several, medians. Both engines take
turns, so that what else the machine does meets both. Start: a fresh process until its first token, with ROSE's
cache of kernels empty ("cold") and filled ("warm"); of llama.cpp from opening the file to the first token, without
the start of Python. Peak memory is that of this process (the mapped file counts).

    qq python bench/models/compare_generation.py --rose build/release/bin --json

needs `llama-cpp-python`, built for this processor: CMAKE_ARGS=-DGGML_NATIVE=ON pip install --no-binary
llama-cpp-python llama-cpp-python. Run it with the Python that has it.
"""
import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MODELS = {"smollm2": "SmolLM2-135M-Instruct.Q4_1.gguf", "gemma3-270m": "gemma-3-270m-q4_k_m.gguf"}
PROMPT = "The capital of France is"


# What the worker process does with llama.cpp: answers lines "pp" and "tg" with seconds.
class Llama:
    def __init__(self, path, threads, context, flash, plain):
        import llama_cpp as c

        self.c = c
        c.llama_backend_init()
        model = c.llama_model_default_params()
        model.n_gpu_layers = 0
        model.use_extra_bufts = not plain
        self.model = c.llama_model_load_from_file(str(path).encode(), model)
        p = c.llama_context_default_params()
        p.n_ctx, p.n_batch, p.n_ubatch = context, 2048, 512
        p.n_threads = p.n_threads_batch = threads
        if flash is not None and hasattr(p, "flash_attn_type"):
            p.flash_attn_type = flash
        self.context = c.llama_init_from_model(self.model, p)
        self.vocab = c.llama_model_get_vocab(self.model)
        self.memory = c.llama_get_memory(self.context)

    def decode(self, tokens):
        array = (self.c.llama_token * len(tokens))(*tokens)
        if self.c.llama_decode(self.context, self.c.llama_batch_get_one(array, len(tokens))):
            raise SystemExit("llama_decode failed")
        self.c.llama_synchronize(self.context)

    def run(self, chunks):
        self.c.llama_memory_clear(self.memory, True)
        start = time.perf_counter()
        for chunk in chunks:
            self.decode(chunk)
        return time.perf_counter() - start

    def tokenize(self, text):
        buffer = (self.c.llama_token * 64)()
        data = text.encode()
        n = self.c.llama_tokenize(self.vocab, data, len(data), buffer, 64, True, False)
        return list(buffer[:n])


def worker(a):
    import random

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # llama.cpp tells a lot
    start = time.perf_counter()
    llama = Llama(a.worker, a.threads, max(a.prompt, a.generated) + 32, a.flash, a.plain)
    llama.decode(llama.tokenize(PROMPT))
    llama.c.llama_get_logits_ith(llama.context, -1)
    first = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"first_token_seconds": first, "peak_mb": peak / 1024}), flush=True)
    vocab = llama.c.llama_vocab_n_tokens(llama.vocab)
    random.seed(1)
    tokens = [random.randrange(vocab) for _ in range(max(a.prompt, a.generated))]
    chunks = {"pp": [tokens[: a.prompt]], "tg": [[t] for t in tokens[: a.generated]]}
    for line in sys.stdin:
        print(json.dumps({"seconds": llama.run(chunks[line.strip()])}), flush=True)


class Worker:
    """A process that answers a line with a line of JSON."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.first = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args[0]} ended early")
        return json.loads(line)

    def seconds(self, what):
        time.sleep(0.05)  # the other engine's threads look for work a little longer
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return self.read()["seconds"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def start_rose(rose, model, cache):
    """Wall seconds, peak MB and timings of one `rose generate` of one token."""
    command = [str(rose / "rose"), "generate", str(model), "--raw", "--prompt", PROMPT, "-n", "1", "-t", "0", "--json"]
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"ROSE_CACHE": cache})
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return time.perf_counter() - begin, usage.ru_maxrss / 1024, json.loads(output)["timings"]


def compare(a, name, path):
    result = {"model": name, "file": path.name, "megabytes": path.stat().st_size / 2**20}
    with tempfile.TemporaryDirectory() as cache:
        cold, _, result["rose_cold_timings"] = start_rose(a.rose, path, cache)
        warm = [start_rose(a.rose, path, cache) for _ in range(3)]
    result["rose_cold_seconds"], result["rose_warm_seconds"] = cold, statistics.median(w[0] for w in warm)
    result["rose_peak_mb"], result["rose_warm_timings"] = max(w[1] for w in warm), warm[-1][2]
    numbers = [str(a.prompt), str(a.generated), str(a.threads)]
    rose = Worker([str(a.rose / "model_steps"), str(path), *numbers])
    flash = ([] if a.flash is None else ["--flash", str(a.flash)]) + (["--plain"] if a.plain else [])
    llama = Worker([sys.executable, __file__, "--worker", str(path), "--prompt", numbers[0], "--generated", numbers[1],
                    "--threads", numbers[2], *flash])
    result["llama_warm_seconds"], result["llama_peak_mb"] = llama.first["first_token_seconds"], llama.first["peak_mb"]
    times = {(e, w): [] for e in ("rose", "llama") for w in ("pp", "tg")}
    for repeat in range(a.repeats + 1):
        for what in ("pp", "tg"):
            for engine, process in (("rose", rose), ("llama", llama)):
                seconds = process.seconds(what)
                if repeat:
                    times[engine, what].append(seconds)
    rose.close(), llama.close()
    for (engine, what), seconds in times.items():
        tokens = a.prompt if what == "pp" else a.generated
        result[f"{engine}_{what}"] = tokens / statistics.median(seconds)
        result[f"{engine}_{what}_runs"] = [round(tokens / s, 1) for s in seconds]
    return result


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("models", nargs="*", help="paths of GGUF files; none: smollm2 and gemma3-270m as fetched")
    p.add_argument("--rose", type=Path, default=Path("build/release/bin"), help="folder of rose and model_steps")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--prompt", type=int, default=512)
    p.add_argument("--generated", type=int, default=128)
    p.add_argument("--repeats", type=int, default=5)
    p.add_argument("--flash", type=int, help="llama.cpp's flash attention: 0 off, 1 on; default: its own choice")
    p.add_argument("--plain", action="store_true", help="llama.cpp does not repack weights (nor use AMX)")
    p.add_argument("--json", action="store_true")
    p.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.worker:
        return worker(a)
    import llama_cpp

    home = Path(os.environ.get("ROSE_HOME", Path.home() / ".cache/rose"))
    paths = {m: Path(m) for m in a.models} or {n: home / "models" / n / f for n, f in MODELS.items()}
    results = [compare(a, name, path) for name, path in paths.items()]
    if a.json:
        print(json.dumps({"llama_cpp_python": llama_cpp.__version__, "threads": a.threads, "results": results}, indent=2))
        return
    model = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.machine())
    print(f"{model}, {os.cpu_count()} processors; {a.threads} threads; llama-cpp-python {llama_cpp.__version__}: "
          f"{llama_cpp.llama_print_system_info().decode().strip()}")
    print(f"medians of {a.repeats} runs in turns; tokens/s\n")
    print(f"{'model':14}{'':8}{'ROSE':>10}{'llama.cpp':>12}{'ratio':>8}")
    for r in results:
        for what, tokens in (("pp", a.prompt), ("tg", a.generated)):
            ours, theirs = r[f"rose_{what}"], r[f"llama_{what}"]
            print(f"{r['model'][:13]:14}{what + str(tokens):8}{ours:10.1f}{theirs:12.1f}{ours / theirs:8.2f}")
        print(f"{'':14}first token: ROSE cold {r['rose_cold_seconds']:.2f} s, warm {r['rose_warm_seconds']:.2f} s; llama.cpp "
              f"{r['llama_warm_seconds']:.2f} s. Peak memory: ROSE {r['rose_peak_mb']:.0f} MB, llama.cpp "
              f"{r['llama_peak_mb']:.0f} MB; the file has {r['megabytes']:.0f} MB")


if __name__ == "__main__":
    main()
