#!/usr/bin/env python3
"""Compares `rose score` with Hugging Face transformers: the perplexity of texts on the same GGUF file.

transformers dequantises the file and computes in f32. Ends with status 1 where the two differ by more than 0.1 %.

    tests/models/compare_perplexity.py build/release/bin/rose ~/.cache/rose/models/smollm2/*.gguf LICENSE
"""

import argparse
import json
import math
import pathlib
import subprocess
import sys

import torch
import transformers


def perplexity(model, ids):
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0, :-1]
        total = sum(torch.log_softmax(part.double(), -1).gather(1, want[:, None]).sum().item()
                    for part, want in zip(logits.split(64), torch.tensor(ids[1:]).split(64)))
    return math.exp(-total / (len(ids) - 1))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rose")
    parser.add_argument("gguf", type=pathlib.Path)
    parser.add_argument("texts", type=pathlib.Path, nargs="+")
    parser.add_argument("--dtypes", nargs="+", default=["f32", "auto"])
    options = parser.parse_args()
    path = options.gguf.resolve()
    tokenizer = transformers.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    model = transformers.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32).eval()
    worst = 0
    for file in options.texts:
        text = file.read_text()
        theirs = None
        for dtype in options.dtypes:
            done = subprocess.run([options.rose, "score", str(path), "--file", "-", "--dtype", dtype, "--json"], input=text,
                                  capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"rose failed: {done.stderr}")
            result = json.loads(done.stdout)["results"][0]
            ids = result["tokens"]
            if theirs is None:  # on rose's tokens: transformers rebuilds only a part of a GGUF file's tokenizer
                if ids != tokenizer(text)["input_ids"]:
                    print(f"note: transformers cuts {file} into other tokens than rose")
                theirs = perplexity(model, ids)
            difference = result["perplexity"] / theirs - 1
            worst = max(worst, abs(difference)) if dtype == "f32" else worst
            print(f"{path.name}  {file}  {len(ids)} tokens  --dtype {dtype}: rose {result['perplexity']:.6f}, "
                  f"transformers {theirs:.6f}, {100 * difference:+.5f} %", flush=True)
    sys.exit(0 if worst <= 1e-3 else 1)


if __name__ == "__main__":
    main()
