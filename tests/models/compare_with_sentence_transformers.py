#!/usr/bin/env python3
"""Compares `rose embed` with sentence-transformers on the same folder: the cosine of each pair of vectors.

    tests/models/compare_with_sentence_transformers.py build/release/bin/rose ~/.cache/rose/models/minilm

Texts: some odd ones, and random words of the model's vocabulary in lengths from 1 word to beyond what the model reads.
Exits with 1 when a cosine is below 0.99999 in f32 or 0.9995 in bf16."""

import argparse
import json
import subprocess
import sys
import tempfile

import numpy
import sentence_transformers

LEAST = {"f32": 0.99999, "bf16": 0.9995}
ODD = [
    "A man is eating food.",
    "Someone is having a meal.",
    "The weather in Paris is lovely today!",
    "x",
    "Quantum computers use qubits; classical computers use bits.",
    "Grüße aus Köln - naïve café, 東京 and Москва.",
    "The quick brown fox jumps over the lazy dog. " * 20,
    "one two three four five six seven eight nine ten " * 60,  # longer than the model's 256 tokens
    "def f(x): return x ** 2  # squares",
    "😀 emoji, \ttabs and   spaces",
]


def texts(tokenizer):
    random = numpy.random.default_rng(3)
    words = sorted(w for w in tokenizer.get_vocab() if w.isalpha() and w.isascii() and len(w) > 2)
    lengths = [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233]
    return ODD + [" ".join(random.choice(words, n)) for n in lengths * 12]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rose")
    parser.add_argument("model")
    options = parser.parse_args()
    # Upstream stores nothing for the last module; an empty folder for it is what the library wants.
    model = sentence_transformers.SentenceTransformer(modules=load_modules(options.model), device="cpu")
    lines = texts(model.tokenizer)
    want = model.encode(lines, normalize_embeddings=True)
    failed = False
    for dtype, least in LEAST.items():
        got = numpy.array(embed(options, lines, dtype))
        cosines = (got * want).sum(axis=1) / numpy.linalg.norm(got, axis=1) / numpy.linalg.norm(want, axis=1)
        failed |= not cosines.min() >= least
        print(f"{dtype}: {len(lines)} texts, smallest cosine {cosines.min():.9f} (bar {least}), mean {cosines.mean():.9f}, "
              f"largest difference {abs(got - want).max():.2e}")
    sys.exit(1 if failed else 0)


def embed(options, lines, dtype):
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        command = [options.rose, "embed", options.model, "--file", file.name, "--dtype", dtype, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"rose failed: {done.stderr}")
    return json.loads(done.stdout)["embeddings"]


def load_modules(folder):
    from sentence_transformers import models

    transformer = models.Transformer(folder, max_seq_length=json.load(open(f"{folder}/sentence_bert_config.json"))["max_seq_length"])
    pooling = models.Pooling(transformer.get_word_embedding_dimension(), pooling_mode="mean")
    return [transformer, pooling, models.Normalize()]


if __name__ == "__main__":
    main()
