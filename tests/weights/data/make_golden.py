#!/usr/bin/env python3
"""Makes the golden data of this folder with the Python packages gguf, safetensors and numpy (fixed seed).

    pip install gguf safetensors numpy && python3 tests/weights/data/make_golden.py

golden.txt has one line a case:
    dequantize FORMAT HEX_OF_BLOCKS HEX_OF_FLOATS        one or two random blocks and their float32 values
    dequantize_hash FORMAT BLOCKS HASH                   the same for many blocks that golden_blocks() makes on both sides
    quantize FORMAT HEX_OF_BLOCKS                        the encoding of golden_values()
    name ARCHITECTURE HUGGING_FACE_NAME GGUF_NAME        what gguf calls a tensor of a decoder ("-": it has none such)
golden.gguf and golden.safetensors are small files with every kind of content, as the packages write them.
"""
import pathlib

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).parent

# Where the half-precision scales lie in a block.
HALVES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108],
          "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0], "MXFP4": []}


class Lcg:
    """The 64-bit generator of Knuth's MMIX; the C++ test has the same."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return self.state >> 32


def golden_blocks(name, count, seed):
    size = gguf.GGML_QUANT_SIZES[Type[name]][1]
    lcg = Lcg(seed)
    blocks = bytearray(lcg.next() & 255 for _ in range(count * size))
    for i in range(count):
        for at in HALVES[name]:
            blocks[i * size + at + 1] &= 0xBF  # no infinity, no NaN: magnitude below 2
        if name == "MXFP4":
            blocks[i * size] = 96 + (blocks[i * size] & 63)
    return np.frombuffer(bytes(blocks), dtype=np.uint8)


def golden_values(count):
    lcg = Lcg(77)
    return np.array([((lcg.next() & 0xFFFFFF) - 2**23) / 2**22 for _ in range(count)], dtype=np.float32)


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def floats(name, blocks):
    return gguf.quants.dequantize(blocks, Type[name]).astype(np.float32) + np.float32(0)  # no negative zeros


lines = []
for index, name in enumerate(HALVES):
    few = 1 if gguf.GGML_QUANT_SIZES[Type[name]][0] == 256 else 2
    blocks = golden_blocks(name, few, 1000 + index)
    lines.append(f"dequantize {name} {blocks.tobytes().hex()} {floats(name, blocks).tobytes().hex()}")
    blocks = golden_blocks(name, 200, 2000 + index)
    lines.append(f"dequantize_hash {name} 200 {fnv(floats(name, blocks).tobytes()):016x}")
for name in ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "MXFP4", "BF16"]:
    encoded = gguf.quants.quantize(golden_values(128), Type[name])
    lines.append(f"quantize {name} {encoded.tobytes().hex()}")
PARTS = ["input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm",
         "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.qkv_proj", "self_attn.o_proj",
         "self_attn.q_norm", "self_attn.k_norm", "mlp.gate_proj", "mlp.up_proj", "mlp.gate_up_proj", "mlp.down_proj"]
NAMES = ["model.embed_tokens", "model.norm", "lm_head"] + [f"model.layers.12.{part}" for part in PARTS]
for architecture in ["LLAMA", "QWEN2", "QWEN3", "GEMMA2", "GEMMA3", "PHI3"]:
    architecture = gguf.MODEL_ARCH[architecture]
    names = gguf.get_tensor_name_map(architecture, 13)
    for name in NAMES:
        lines.append(f"name {gguf.MODEL_ARCH_NAMES[architecture]} {name} {names.get_name(name) or '-'}")
(HERE / "golden.txt").write_text("\n".join(lines) + "\n")

writer = gguf.GGUFWriter(HERE / "golden.gguf", "llama")
writer.add_uint8("test.u8", 200)
writer.add_int8("test.i8", -100)
writer.add_uint16("test.u16", 60000)
writer.add_int16("test.i16", -30000)
writer.add_uint32("test.u32", 4000000000)
writer.add_int32("test.i32", -2000000000)
writer.add_uint64("test.u64", 2**63 + 5)
writer.add_int64("test.i64", -(2**62))
writer.add_float32("test.f32", 1.5)
writer.add_float64("test.f64", 1e300)
writer.add_bool("test.bool", True)
writer.add_string("test.string", "Grüße, 世界")
writer.add_array("test.strings", ["a", "", "ü"])
writer.add_array("test.integers", [1, -2, 3])
writer.add_array("test.reals", [0.5, -0.25])
writer.add_tensor("matrix", np.arange(6, dtype=np.float32).reshape(2, 3))
writer.add_tensor("quantised", gguf.quants.quantize(golden_values(128).reshape(2, 64), Type.Q4_1), raw_dtype=Type.Q4_1)
writer.add_tensor("half", np.array([1, 2, 3], dtype=np.float16))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()

save_file({"matrix": np.arange(6, dtype=np.float32).reshape(2, 3), "half": np.array([1, 2, 3], dtype=np.float16),
           "flags": np.array([True, False, True]), "scalar": np.array(7, dtype=np.int64),
           "empty": np.zeros((0, 4), dtype=np.uint8)}, HERE / "golden.safetensors", metadata={"format": "pt"})
