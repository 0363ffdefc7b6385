#!/usr/bin/env python3
"""Sentences a second of an embedding model: ROSE beside torch and onnxruntime, taking turns in one run.

    cmake --build --preset release --target embedding_speed
    python bench/models/compare_embedding.py build/release/bin/embedding_speed ~/.cache/rose/models/minilm --export
    python bench/models/compare_embedding.py build/release/bin/embedding_speed ~/.cache/rose/models/minilm

All sides tokenize, compute in f32 (ROSE also with bf16 products), pool by the mean and normalise. The peers get the texts
of a batch padded to its longest, in order of length as sentence-transformers sorts them; ROSE packs texts without padding
and takes them as they come. onnxruntime runs the graph as exported and the one that its optimizer for transformers has
fused; the faster counts. Needs torch, transformers, onnxruntime, onnx and onnxscript."""

import argparse
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("embedding_speed")
parser.add_argument("model")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--batches", type=int, nargs="*", default=[1, 32])
parser.add_argument("--seconds", type=float, default=1.5, help="of each turn")
parser.add_argument("--turns", type=int, default=5)
parser.add_argument("--onnx", type=pathlib.Path, default=pathlib.Path("build/onnx"), help="folder of the exported graphs, made once")
parser.add_argument("--export", action="store_true", help="only export the graphs")
options = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(options.threads)
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy
import onnxruntime
import torch
import transformers

WORDS = """the of and to in is was for that on with as by at from it are this be or which an have not also has were their but its one all more
when new first two than other time people world only some would city into used state made over during many then work three most such part
between school government system house water history music family company number group school country life national after under general
language river south north company science computer market energy village church century building research development university""".split()


def texts(count=256):
    """Sentences of 4 to 60 words, most of them short, in no order."""
    random = numpy.random.default_rng(7)
    lengths = numpy.clip(random.lognormal(2.8, 0.6, count).astype(int), 4, 60)
    return [" ".join(random.choice(WORDS, n)).capitalize() + "." for n in lengths]


class Rose:
    def __init__(self, file, dtype):
        command = [options.embedding_speed, options.model, file, str(options.threads), dtype]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def measure(self, batch, seconds):
        print(batch, seconds, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())


class Peer:
    """A way to turn input ids and masks into the last layer's vectors, as numpy arrays or torch tensors."""

    def __init__(self, tokenizer, lines, forward, kind):
        self.tokenizer, self.lines, self.forward, self.kind = tokenizer, sorted(lines, key=len), forward, kind

    def embed(self, batch):
        encoded = self.tokenizer(batch, padding=True, truncation=True, max_length=256, return_tensors=self.kind)
        hidden, mask = self.forward(encoded), encoded["attention_mask"][..., None]
        mean = (hidden * mask).sum(1) / mask.sum(1)
        norm = numpy.linalg.norm if self.kind == "np" else torch.linalg.vector_norm
        return mean / norm(mean, axis=1, keepdims=True) if self.kind == "np" else mean / norm(mean, dim=1, keepdim=True)

    def measure(self, batch, seconds):
        start, done = time.perf_counter(), 0
        while True:
            for at in range(0, len(self.lines), batch):
                self.embed(self.lines[at:at + batch])
            done += len(self.lines)
            passed = time.perf_counter() - start
            if passed >= seconds:
                return done / passed


def torch_forward(model):
    def forward(encoded):
        with torch.inference_mode():
            return model(**encoded).last_hidden_state
    return forward


def onnx_forward(path):
    session_options = onnxruntime.SessionOptions()
    session_options.intra_op_num_threads = options.threads
    session_options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    # Its threads may spin while it computes, as they do by default, but not into the others' turns.
    session_options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(path, session_options, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    return lambda encoded: session.run(None, {n: encoded[n].astype(numpy.int64) for n in names})[0]


class Hidden(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).last_hidden_state


def export(tokenizer):
    """The model as ONNX: plain, and fused by onnxruntime's optimizer, which knows the graph of the older exporter best."""
    paths = {"onnxruntime": options.onnx / "plain.onnx", "onnxruntime, fused": options.onnx / "fused.onnx"}
    if all(path.exists() for path in paths.values()):
        return paths
    from onnxruntime.transformers import optimizer
    options.onnx.mkdir(parents=True, exist_ok=True)
    model = transformers.AutoModel.from_pretrained(options.model, dtype=torch.float32, attn_implementation="eager").eval()
    encoded = tokenizer(["two texts", "of different lengths, as it were"], padding=True, return_tensors="pt")
    names = ["input_ids", "attention_mask", "token_type_ids"]
    torch.onnx.export(Hidden(model), tuple(encoded[n] for n in names), str(paths["onnxruntime"]),
                      dynamo=False, input_names=names, output_names=["hidden"], opset_version=17,
                      dynamic_axes={n: {0: "batch", 1: "length"} for n in names + ["hidden"]})
    fused = optimizer.optimize_model(str(paths["onnxruntime"]), model_type="bert", num_heads=model.config.num_attention_heads,
                                     hidden_size=model.config.hidden_size, opt_level=1)
    print({name: count for name, count in fused.get_fused_operator_statistics().items() if count})
    fused.save_model_to_file(str(paths["onnxruntime, fused"]))
    return paths


def main():
    torch.set_num_threads(options.threads)
    tokenizer = transformers.AutoTokenizer.from_pretrained(options.model)
    graphs = export(tokenizer)
    if options.export:
        return
    model = transformers.AutoModel.from_pretrained(options.model, dtype=torch.float32).eval()
    lines = texts()
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "texts.txt")
        file.write_text("\n".join(lines) + "\n")
        sides = {"ROSE f32": Rose(str(file), "f32"), "ROSE bf16": Rose(str(file), "bf16"),
                 "torch": Peer(tokenizer, lines, torch_forward(model), "pt")}
        for name, path in graphs.items():
            sides[name] = Peer(tokenizer, lines, onnx_forward(str(path)), "np")
        want = sides["torch"].embed(lines[:8]).numpy()
        for name, side in sides.items():
            if isinstance(side, Peer) and name != "torch":
                assert (abs(side.embed(lines[:8]) - want) < 1e-3).all(), f"{name} computes something else"
        tokens = sum(len(ids) for ids in tokenizer(lines)["input_ids"])
        print(f"{options.model}: {len(lines)} texts, {tokens / len(lines):.1f} tokens on average; {options.threads} threads; {platform.processor() or platform.machine()}")
        print(f"torch {torch.__version__}, onnxruntime {onnxruntime.__version__}, transformers {transformers.__version__}")
        print(f"sentences a second: the median of {options.turns} turns of {options.seconds} s that alternate")
        for batch in options.batches:
            results = {name: [] for name in sides}
            for turn in range(options.turns + 1):
                for name, side in sides.items():
                    rate = side.measure(batch, options.seconds if turn else 0.2)
                    if turn:
                        results[name].append(rate)
            medians = {name: sorted(rates)[len(rates) // 2] for name, rates in results.items()}
            best = max(rate for name, rate in medians.items() if "ROSE" not in name)
            print(f"batch {batch}:")
            for name, rate in medians.items():
                print(f"  {name:<20}{rate:9.1f}   {rate / best:5.2f} x the faster peer   ({min(results[name]):.1f} to {max(results[name]):.1f})")


main()
