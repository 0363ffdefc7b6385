#!/usr/bin/env python3
"""Writes the tokenizer of a GGUF file as JSON for text_tool: gguf_to_json.py MODEL.gguf > vocabulary.json"""
import json
import sys

from gguf import GGUFReader

KEYS = ["model", "pre", "tokens", "scores", "token_type", "merges", "bos_token_id", "eos_token_id", "unknown_token_id",
        "seperator_token_id", "padding_token_id", "cls_token_id", "add_bos_token", "add_eos_token", "add_space_prefix"]

reader = GGUFReader(sys.argv[1])
out = {}
for key in KEYS:
    field = reader.get_field("tokenizer.ggml." + key)
    if field is not None:
        out[key] = field.contents()
json.dump(out, sys.stdout, ensure_ascii=False)
