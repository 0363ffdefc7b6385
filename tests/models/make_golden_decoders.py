#!/usr/bin/env python3
"""Writes tests/models/data/decoders.json: what Hugging Face transformers computes for small random decoders.

The weights themselves are not stored: each follows from its name (see `values`), and golden_decoder_test.cpp makes the
same ones. Needs torch and transformers; the tests need only the file.

    python tests/models/make_golden_decoders.py
"""

import json
import pathlib

import numpy
import torch
import transformers

SMALL = dict(num_hidden_layers=2, hidden_size=32, intermediate_size=48, num_attention_heads=4, num_key_value_heads=2,
             vocab_size=48, max_position_embeddings=64, pad_token_id=None, bos_token_id=1, eos_token_id=2)
TOKENS = [(7 * i * i + 3 * i + 5) % 48 for i in range(30)]
ROWS = [0, 1, 5, 9, 13, 17, 23, 29]  # whose logits are kept
GEMMA = dict(head_dim=8, query_pre_attn_scalar=12, sliding_window=7, hidden_activation="gelu_pytorch_tanh")
LONG_ROPE = {"rope_type": "longrope", "short_factor": [1.0, 1.1], "long_factor": [1.5, 4.0], "rope_theta": 10000.0}

# name: (model_type, changes of the configuration, tokens)
CASES = {
    "llama": ("llama", dict(tie_word_embeddings=False), 30),
    "llama_biases": ("llama", dict(attention_bias=True, mlp_bias=True, tie_word_embeddings=True), 30),
    "llama_linear": ("llama", dict(rope_parameters={"rope_type": "linear", "factor": 4.0, "rope_theta": 500.0}), 30),
    "llama_dynamic": ("llama", dict(rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}), 30),
    "llama_llama3": ("llama", dict(rope_parameters={
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "rope_theta": 1000.0,
        "original_max_position_embeddings": 32}), 30),
    "llama_yarn": ("llama", dict(rope_parameters={
        "rope_type": "yarn", "factor": 4.0, "rope_theta": 1000.0, "original_max_position_embeddings": 16}), 30),
    "mistral": ("mistral", dict(sliding_window=9, head_dim=12), 30),
    "qwen2": ("qwen2", dict(use_sliding_window=True, sliding_window=6, max_window_layers=1), 30),
    "qwen3": ("qwen3", dict(head_dim=12, tie_word_embeddings=True), 30),
    "gemma2_by_head": ("gemma2", GEMMA | dict(query_pre_attn_scalar=8, attn_logit_softcapping=2.0), 30),
    "gemma2": ("gemma2", GEMMA | dict(attn_logit_softcapping=2.0, final_logit_softcapping=1.5), 30),
    "gemma3": ("gemma3_text", GEMMA | dict(num_hidden_layers=6, query_pre_attn_scalar=8, rope_parameters={
        "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
        "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}}), 30),
    "phi3": ("phi3", dict(sliding_window=11), 30),
    "phi3_within": ("phi3", dict(original_max_position_embeddings=24, rope_parameters=LONG_ROPE | {
        "partial_rotary_factor": 0.5}), 24),
    "phi3_beyond": ("phi3", dict(original_max_position_embeddings=24, rope_parameters=LONG_ROPE | {
        "partial_rotary_factor": 0.5}), 30),
}


def values(name, shape, norm_center):
    """64-bit FNV-1a of the name starts a linear congruential generator; golden_decoder_test.cpp has its twin."""
    state = 0xCBF29CE484222325
    for byte in name.encode():
        state = (state ^ byte) * 0x100000001B3 % 2**64
    scale, center = (numpy.sqrt(3 / shape[-1]), 0) if len(shape) > 1 else (0.3, norm_center if "norm" in name else 0)
    out = []
    for _ in range(int(numpy.prod(shape))):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        out.append(center + scale * ((state >> 11) / 9007199254740992.0 * 2 - 1))
    return torch.tensor(numpy.array(out).astype(numpy.float32).reshape(shape))


def make(name):
    kind, changes, count = CASES[name]
    config = transformers.AutoConfig.for_model(kind, **(SMALL | changes))
    config._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    center = 0 if kind.startswith("gemma") else 1
    tied = {"lm_head.weight"} if config.tie_word_embeddings else set()
    state = {key: values(key, tuple(value.shape), center) for key, value in model.state_dict().items() if key not in tied}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and set(missing) <= tied, (missing, unexpected)
    tokens = TOKENS[:count]
    rows = [r for r in ROWS if r < count]
    with torch.no_grad():
        out = model(torch.tensor([tokens]), output_hidden_states=True, use_cache=False)
    keep = lambda x: [float(f"{v:.8g}") for v in x.flatten().tolist()]
    written = json.loads(config.to_json_string(use_diff=False))
    drop = ("transformers_version", "dtype", "architectures", "id2label", "label2id")
    return {"config": {k: v for k, v in written.items() if v is not None and k not in drop or k == "sliding_window"},
            "norm_center": center,
            "tensors": {key: list(value.shape) for key, value in state.items()}, "tokens": tokens, "rows": rows,
            "logits": keep(out.logits[0, rows]), "hidden": keep(out.hidden_states[-1][0, rows[-1]])}


def main():
    path = pathlib.Path(__file__).parent / "data" / "decoders.json"
    lines = [f"{json.dumps(name)}: {json.dumps(make(name))}" for name in CASES]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{path}: {path.stat().st_size} bytes, transformers {transformers.__version__}")


if __name__ == "__main__":
    main()
