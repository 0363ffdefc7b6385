#!/usr/bin/env python3
"""Compares `rose generate` with Hugging Face transformers, token by token, on the same GGUF file.

transformers dequantises the file and computes in f32; rose runs with --dtype f32 (what the weights mean) or with its
default. Greedy tokens must be equal; where they part, the two logits of transformers must differ by less than 1e-3
relative. Ends with status 1 otherwise.

    tests/models/compare_with_transformers.py build/bin/rose ~/.cache/rose/models/smollm2/*.gguf
"""

import argparse
import json
import pathlib
import subprocess
import sys

import torch
import transformers

PROMPTS = [
    "The capital of France is",
    "Once upon a time, there was a little girl who",
    "def fibonacci(n):\n    ",
    "Water boils at 100 degrees Celsius because",
    "1, 2, 3, 4, 5, 6,",
    "The quick brown fox jumps over the lazy dog. " * 12 + "Then",
    "Die Hauptstadt von Deutschland ist",
    "List three uses of salt:\n1.",
    "E = mc² means that",
    "In 1969, humans first",
    "Dear Sir or Madam,\n\nI am writing to",
    "The opposite of hot is",
    "Photosynthesis is the process by which",
    "SELECT name, age FROM users WHERE",
    "Q: What is 12 times 12?\nA:",
    "人工知能とは",
    "Roses are red, violets are",
    "The three laws of robotics are",
    "An apple a day",
    "To be, or not to be,",
]


def rose_tokens(program, model, prompt, count, dtype):
    command = [program, "generate", model, "--raw", "--prompt", prompt, "--max-tokens", str(count), "--temperature", "0",
               "--dtype", dtype, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"rose failed: {done.stderr}")
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rose")
    parser.add_argument("gguf", type=pathlib.Path)
    parser.add_argument("--prompts", type=int, default=len(PROMPTS))
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--dtype", default="f32")
    options = parser.parse_args()
    path = options.gguf.resolve()
    tokenizer = transformers.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    model = transformers.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    model.eval()
    eos = model.generation_config.eos_token_id or tokenizer.eos_token_id
    stops = set(eos if isinstance(eos, list) else [eos])
    equal = near = tokens = 0
    for prompt in PROMPTS[: options.prompts]:
        answer = rose_tokens(options.rose, str(options.gguf), prompt, options.tokens, options.dtype)
        ids = tokenizer(prompt)["input_ids"]
        if len(ids) != answer["usage"]["prompt_tokens"]:
            print(f"note: transformers makes {len(ids)} tokens of {prompt[:30]!r}, rose {answer['usage']['prompt_tokens']}")
        got = answer["tokens"]
        ended = [min(stops)] if answer["finish_reason"] == "stop" else []
        # One pass over prompt and answer gives what transformers would choose after each of rose's tokens. As long as
        # they agree, that is its greedy answer; the first that differs is where the two part.
        with torch.no_grad():
            logits = model(torch.tensor([ids + got + ended])).logits[0, len(ids) - 1 :]
        choices = logits.argmax(-1).tolist()
        mine = got + ended
        at = next((i for i, t in enumerate(mine) if choices[i] != t and not (ended and i == len(got) and choices[i] in stops)),
                  None)
        tokens += len(mine)
        if at is None:
            equal += 1
            continue
        best, other = logits[at].max().item(), logits[at][mine[at]].item()
        relative = abs(best - other) / max(abs(best), 1e-9)
        near += relative < 1e-3
        print(f"{prompt[:30]!r}: part at token {at}; logits {best:.5f} and {other:.5f}, relative {relative:.2e}", flush=True)
    count = min(options.prompts, len(PROMPTS))
    print(f"{equal} of {count} prompts equal ({tokens} tokens, up to {options.tokens} each), {near} more part at a tie, "
          f"{count - equal - near} differ")
    sys.exit(0 if equal + near == count else 1)


if __name__ == "__main__":
    main()
