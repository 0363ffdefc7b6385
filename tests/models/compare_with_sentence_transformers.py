#!/usr/bin/env python3
"""Compares `rose embed` with sentence-transformers on the same folder: the cosine of each pair of vectors.

    tests/models/compare_with_sentence_transformers.py build/bin/rose ~/.cache/rose/models/minilm
"""

import argparse
import json
import subprocess
import sys
import tempfile

import numpy
import sentence_transformers

TEXTS = [
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


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rose")
    parser.add_argument("model")
    parser.add_argument("--dtype", default="f32")
    parser.add_argument("--least", type=float, default=0.99999)
    options = parser.parse_args()
    # Upstream stores nothing for the last module; an empty folder for it is what the library wants.
    model = sentence_transformers.SentenceTransformer(modules=load_modules(options.model), device="cpu")
    want = model.encode(TEXTS, normalize_embeddings=True)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(TEXTS) + "\n")
        file.flush()
        command = [options.rose, "embed", options.model, "--file", file.name, "--dtype", options.dtype, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"rose failed: {done.stderr}")
    got = numpy.array(json.loads(done.stdout)["embeddings"])
    cosines = (got * want).sum(axis=1) / numpy.linalg.norm(got, axis=1) / numpy.linalg.norm(want, axis=1)
    print(f"{len(TEXTS)} texts: smallest cosine {cosines.min():.9f}, largest difference {abs(got - want).max():.2e}")
    sys.exit(0 if cosines.min() >= options.least else 1)


def load_modules(folder):
    from sentence_transformers import models

    transformer = models.Transformer(folder, max_seq_length=json.load(open(f"{folder}/sentence_bert_config.json"))["max_seq_length"])
    pooling = models.Pooling(transformer.get_word_embedding_dimension(), pooling_mode="mean")
    return [transformer, pooling, models.Normalize()]


if __name__ == "__main__":
    main()
