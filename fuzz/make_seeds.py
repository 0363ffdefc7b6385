#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets: make_seeds.py FOLDER -> FOLDER/TARGET/*. Standard library alone.

They come from what the tests have (golden files, template cases) and from small files of every kind made here.
"""
import json
import pathlib
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
DATA = ROOT / "tests" / "weights" / "data"
TEXT = "Hello wörld 1234 's I'm  \n\n\t你好 日本語 e\u0301 ﬁ ½ 🙂👩‍👩‍👧 — don't_stop--now ١٢٣ ΑΣ İ ǆ [CLS] <s>"


def byte_alphabet():
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [b for b in range(256) if b not in visible]
    return [chr(b) for b in visible] + [chr(0x100 + i) for i in range(len(hidden))]


def added(content, **flags):
    return {"id": 0, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
            "special": True, **flags}


def tokenizer(model, **sections):
    return {"version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": None, "post_processor": None,
            "decoder": None, **sections, "model": model}


def numbered(tokens):
    return {token: i for i, token in enumerate(dict.fromkeys(tokens))}


def tokenizers():
    byte_names = [f"<0x{b:02X}>" for b in range(256)]
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    template = {"type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}}
    yield tokenizer({"type": "BPE", "ignore_merges": True, "merges": [["h", "e"], ["l", "l"], ["he", "ll"], ["Ġ", "w"]],
                     "vocab": numbered(byte_alphabet() + ["he", "ll", "hell", "Ġw"])},
                    added_tokens=[added("<s>"), added("<|end|>", lstrip=True, rstrip=True), added("fox", single_word=True,
                                                                                                special=False)],
                    normalizer={"type": "NFC"},
                    pre_tokenizer={"type": "Sequence", "pretokenizers": [
                        {"type": "Split", "pattern": {"Regex": r"\p{N}{1,3}|\s+(?!\S)|[^\s]+"}, "behavior": "Isolated", "invert": False},
                        {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}]},
                    post_processor={"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1]},
                    decoder={"type": "ByteLevel"})
    yield tokenizer({"type": "BPE", "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True, "merges": ["▁ a", "a b", "▁ ab"],
                     "vocab": numbered(["<unk>", "<s>", *byte_names, "▁", "a", "b", "▁a", "ab", "▁ab"])},
                    added_tokens=[added("<s>")], post_processor=template,
                    normalizer={"type": "Sequence", "normalizers": [
                        {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
                    decoder={"type": "Sequence", "decoders": [
                        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
                        {"type": "Strip", "content": " ", "start": 1, "stop": 0}]})
    yield tokenizer({"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
                     "vocab": numbered(["[UNK]", "[CLS]", "[SEP]", "un", "##aff", "hello", "w", "##o", "##rld", "1", "##2", "世"])},
                    normalizer={"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "lowercase": True},
                    pre_tokenizer={"type": "BertPreTokenizer"}, decoder={"type": "WordPiece", "prefix": "##", "cleanup": True},
                    post_processor={"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]})
    yield tokenizer({"type": "Unigram", "unk_id": 0, "byte_fallback": True,
                     "vocab": [["<unk>", 0.0], ["▁", -3.0], ["a", -2.0], ["▁H", -4.5], ["ello", -5.25], ["日本", -6.0],
                               *[[b, -20.0] for b in byte_names]]},
                    normalizer={"type": "Sequence", "normalizers": [
                        {"type": "Nmt"}, {"type": "NFKC"}, {"type": "Precompiled", "precompiled_charsmap": "BAAAAAAAAABhAA=="},
                        {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}, {"type": "StripAccents"}, {"type": "Lowercase"}]},
                    pre_tokenizer=metaspace, decoder=metaspace)
    yield tokenizer({"type": "WordLevel", "unk_token": "<unk>", "vocab": numbered(["<unk>", "Hello", "a", ",", "12"])},
                    pre_tokenizer={"type": "Sequence", "pretokenizers": [
                        {"type": "WhitespaceSplit"}, {"type": "Punctuation", "behavior": "MergedWithPrevious"},
                        {"type": "Digits", "individual_digits": False}, {"type": "CharDelimiterSplit", "delimiter": "-"},
                        {"type": "FixedLength", "length": 4}]},
                    decoder={"type": "Sequence", "decoders": [{"type": "BPEDecoder", "suffix": "</w>"},
                                                              {"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": True}]})


REGEXES = [r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
           r"'s|'t| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", r"\d{1,3}(?=(?:\d{3})*\b)", r"[\p{Han}&&[^一]]+|(?<=\s)\p{Lu}++",
           r"\b|x*?", r"(?i:QU|\x{20}o)|[[:punct:]]{2,}", r"(?>a|ab)c|\w+?(?!\B)|^\S+$", r"(?x: a b # c" "\t" r")[^\W\d_-]{0,5}", r"\A(a*)*\z|."]


def gguf_vocabularies():
    """The format of text_gguf_vocabulary.cc: three choices, then lines whose last byte is type and score."""
    tokens = [("<unk>", 2), ("<s>", 3), ("▁", 9), ("a", 9), ("▁a", 17), ("Hello", 17), ("##o", 9), ("<0x41>", 6), ("  ", 4), ("日", 9), ("bad", 57)]
    lines = b"\n".join(text.encode() + bytes([kind]) for text, kind in tokens)
    for model in range(5):
        for pre in range(6):
            yield bytes([model, pre, 7 + 16 * model]) + lines + b"\n\ta \xe2\x96\x81\n\ta a"
    letters = b"\n".join(c.encode() + b"\x01" for c in byte_alphabet()) + b"\nhe\x01\nhell\x01\nll\x01"
    yield bytes([0, 1, 1]) + letters + b"\n\th e\n\tl l\n\the ll"


def gguf(keys, tensors):
    """A GGUF file: keys are {name: value}, tensors [(name, innermost extents, type number, bytes)]."""
    def text(value):
        return struct.pack("<Q", len(value.encode())) + value.encode()

    def typed(value):
        if isinstance(value, list):
            kind = typed(value[0])[0]
            return 9, struct.pack("<IQ", kind, len(value)) + b"".join(typed(v)[1] for v in value)
        if isinstance(value, bool):
            return 7, struct.pack("<B", value)
        if isinstance(value, str):
            return 8, text(value)
        return (6, struct.pack("<f", value)) if isinstance(value, float) else (4, struct.pack("<I", value))

    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(keys))
    for key, value in keys.items():
        kind, body = typed(value)
        head += text(key) + struct.pack("<I", kind) + body
    data = b""
    for name, extents, kind, body in tensors:
        head += text(name) + struct.pack(f"<I{len(extents)}QIQ", len(extents), *extents, kind, len(data))
        data += body + bytes(-len(body) % 32)
    return head + bytes(-len(head) % 32) + data


def ggufs():
    yield (DATA / "golden.gguf").read_bytes()
    model = {"general.architecture": "llama", "general.alignment": 32, "llama.context_length": 64}
    words = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "llama-bpe", "tokenizer.ggml.tokens": ["a", "b", "ab"],
             "tokenizer.ggml.scores": [0.0, -1.0, -2.0], "tokenizer.ggml.token_type": [1, 1, 3], "tokenizer.ggml.merges": ["a b"],
             "tokenizer.ggml.bos_token_id": 0, "tokenizer.ggml.eos_token_id": 2, "tokenizer.ggml.add_bos_token": True,
             "tokenizer.chat_template": "{{ messages }}", "tokenizer.chat_template.tool_use": "{{ tools }}"}
    yield gguf(model | words, [])
    # Type number, bytes of a block, elements of a block: F32, F16, Q4_0 ... IQ4_NL, IQ4_XS, BF16, MXFP4.
    kinds = [(0, 4, 1), (1, 2, 1), (2, 18, 32), (3, 20, 32), (6, 22, 32), (7, 24, 32), (8, 34, 32), (10, 84, 256), (11, 110, 256),
             (12, 144, 256), (13, 176, 256), (14, 210, 256), (20, 18, 32), (23, 136, 256), (30, 2, 1), (39, 17, 32)]
    yield gguf(model, [(f"blk.{i}.weight", [elements, 2], kind, bytes(range(size)) * 2)
                       for i, (kind, size, elements) in enumerate(kinds)])


def safetensors(header, data):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def safetensors_files():
    yield (DATA / "golden.safetensors").read_bytes()
    sizes = {"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2, "I32": 4, "U32": 4,
             "F32": 4, "F64": 8, "I64": 8, "U64": 8}
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, size in sizes.items():
        header[name] = {"dtype": name, "shape": [2, 1], "data_offsets": [at, at + 2 * size]}
        at += 2 * size
    yield safetensors(header, bytes(i * 37 & 255 for i in range(at)))


def main():
    out = pathlib.Path(sys.argv[1])

    def write(target, seeds):
        folder = out / target
        folder.mkdir(parents=True, exist_ok=True)
        for i, seed in enumerate(seeds):
            (folder / f"seed-{i:03}").write_bytes(seed)

    cases = json.loads((ROOT / "tests" / "text" / "template_cases.json").read_text())
    templates = [p.read_bytes() for p in sorted((ROOT / "tests" / "text" / "families").glob("*.jinja"))]
    write("text_template", [c.encode() for c in cases] + templates)
    write("text_tokenizer_json", [json.dumps(t, ensure_ascii=False).encode() for t in tokenizers()])
    write("text_regex", [f"{regex}\n{TEXT}".encode() for regex in REGEXES])
    write("text_pretokenizer", [bytes([i, i % 12]) + TEXT.encode() for i in range(28)])
    write("text_gguf_vocabulary", gguf_vocabularies())
    write("weights_gguf", ggufs())
    write("weights_safetensors", safetensors_files())


if __name__ == "__main__":
    main()
