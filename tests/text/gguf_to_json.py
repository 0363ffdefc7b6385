#!/usr/bin/env python3
"""Writes the tokenizer of a GGUF file as JSON for text_tool: gguf_to_json.py MODEL.gguf > vocabulary.json

With a second argument, ORACLE.json, also writes SmolLM2's tokenizer (byte-level BPE, digits one by one) of the same tokens and
merges as HF `tokenizers` has it, for compare_tokenizers.py --gguf vocabulary.json ORACLE.json.
"""
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

if len(sys.argv) > 2:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    oracle = Tokenizer(models.BPE({token: i for i, token in enumerate(out["tokens"])},
                                  [tuple(merge.split(" ")) for merge in out["merges"]]))
    oracle.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                    pre_tokenizers.ByteLevel(add_prefix_space=False)])
    oracle.decoder = decoders.ByteLevel()
    oracle.add_special_tokens([AddedToken(token, normalized=False) for token, kind in zip(out["tokens"], out["token_type"]) if kind in (2, 3)])
    oracle.save(sys.argv[2])
