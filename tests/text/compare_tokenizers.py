#!/usr/bin/env python3
"""Compares ROSE's tokenizers with HF `tokenizers` on random and real strings; the first difference is fatal.

    tests/text/tools/build_text_tool.sh BUILD_DIR
    .venv/bin/python tests/text/compare_tokenizers.py BUILD_DIR/bin/text_tool [--count 100000] [--seed 1] NAME_OR_FILE...

A name is a folder of ../shared/data/tokenizers (its tokenizer.json.xz) or one of the small tokenizers that
small_tokenizers.py trains; without names all of both are compared. Ids (with special tokens) and the decoded text (special tokens kept) must be
equal. Invalid UTF-8 is compared with what HF makes of bytes.decode("utf-8", "replace").
"""
import argparse
import json
import lzma
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

from tokenizers import Tokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = next((p / "shared" / "data" / "tokenizers" for p in ROOT.parents if (p / "shared").is_dir()), ROOT / "shared")

WORDS = """the quick brown fox jumps over lazy dogs I'm you're WE'LL they've can't HTTPServer snake_case camelCase
don't naïve café Ünïcödé façade ﬁle ſtrange ΑΒΓ αβγς Привет мир Ελληνικά שלום عربي مرحبا हिन्दी नमस्ते ไทยภาษา 你好世界 日本語テキスト
ひらがな カタカナ 한국어 텍스트 한글 Tiếng Việt ế ệ 👍 👩‍👩‍👧‍👦 🇩🇪 🏳️‍🌈 e\u0301 n\u0303 A\u030a \ufb03 ½ Ⅷ ٣٤٥ 123 4567 89 3.14159 1,000,000 0x1F
\u00a0 \u2003 \u3000 \u200b \u200d \ufeff \ufffd \u2028 \x85 \x1c \x00 \x7f \r\n \n\n \t\t ▁ ▁▁ Ġ Ċ <0x0A> <unk> <s> </s> [MASK] [CLS] ## ##ing
def main(): return {"key": [1, 2.5e-3, null]}; // comment /* x */ <div class="a">&amp;</div> https://example.org/?q=a%20b#c
'S 'T 'RE 'ſ 'll 'D ''s K's KELVIN \u212a ß ẞ İ ı ǅ ª º ² ₂ ① 〇 〤 ﷺ ﷽ ｆｕｌｌ ㍍ ㌀ ㋿ 𝒳𝓎 𐍈 𠀀 \U000e0001 \U0010ffff""".split(" ")
RANGES = [(0x20, 0x7E)] * 6 + [(0, 0x1F), (0x80, 0xFF), (0x100, 0x24F), (0x300, 0x36F), (0x370, 0x5FF), (0x600, 0x6FF),
          (0x900, 0xDFF), (0xE00, 0xEFF), (0x1100, 0x11FF), (0x2000, 0x206F), (0x2070, 0x2BFF), (0x2E80, 0x30FF),
          (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xF900, 0xFFFF), (0x10000, 0x1FFFF), (0x1F300, 0x1FAFF),
          (0x20000, 0x3134F), (0, 0x10FFFF)]


def random_char(rng):
    while True:
        c = rng.randint(*rng.choice(RANGES))
        if not 0xD800 <= c < 0xE000:
            return chr(c)


class Strings:
    """Random strings, from words, code points, code points of one script, cuts of real text and special tokens."""

    def __init__(self, seed, specials, vocabulary):
        self.rng = random.Random(seed)
        self.specials = specials or ["<s>"]
        self.vocabulary = vocabulary
        self.real = "\n".join(p.read_text("utf-8", "replace") for folder in ("docs", "src", "tests")
                              for p in sorted((ROOT / folder).rglob("*.*"))[:200] if p.suffix in (".md", ".h", ".cpp", ".py"))

    def piece(self):
        rng = self.rng
        kind = rng.randrange(12)
        if kind < 3:
            return rng.choice(WORDS)
        if kind == 3:
            return rng.choice([" ", "  ", "\n", "\t", "\r\n", " \n ", "   ", "\u00a0", "\u3000"]) * rng.randint(1, 4)
        if kind == 4:
            return "".join(random_char(rng) for _ in range(rng.randint(1, 12)))
        if kind == 5:
            low, high = rng.choice(RANGES)
            return "".join(chr(c) for c in (rng.randint(low, high) for _ in range(rng.randint(1, 20))) if not 0xD800 <= c < 0xE000)
        if kind == 6:
            return str(rng.randint(0, 10 ** rng.randint(1, 20)))
        if kind == 7:
            return rng.choice(self.specials)
        if kind == 8:
            return rng.choice(self.vocabulary)
        if kind == 9:
            at = rng.randrange(max(1, len(self.real) - 1))
            return self.real[at:at + rng.randint(1, 200)]
        if kind == 10:
            return rng.choice("abcxyz 01.'\n-_/▁") * rng.randint(1, 40)
        return "".join(rng.choice("aAeEsStTdDlLmM'’ \n.,!?/-019") for _ in range(rng.randint(1, 15)))

    def text(self):
        return "".join(self.piece() + self.rng.choice(["", "", " "]) for _ in range(self.rng.choice([0, 1, 1, 2, 3, 5, 8, 20])))

    def bytes(self):
        """Mostly valid UTF-8; one in twenty has bytes changed, dropped or added."""
        data = self.text().encode()
        if self.rng.randrange(20) == 0:
            data = bytearray(data)
            for _ in range(self.rng.randint(1, 5)):
                at = self.rng.randrange(len(data) + 1)
                data[at:at + self.rng.randrange(2)] = bytes([self.rng.randrange(256)])
        return bytes(data)


def compare(tool, name, path, count, seed, gguf=None):
    oracle = Tokenizer.from_file(str(path))
    oracle.no_truncation()
    oracle.no_padding()
    content = json.load(open(path, encoding="utf-8"))
    vocabulary = content["model"]["vocab"]
    vocabulary = [v if isinstance(v, str) else v[0] for v in vocabulary]
    known = len(json.load(open(gguf, encoding="utf-8"))["tokens"]) if gguf else 1 << 32  # a GGUF may lack the last ones
    strings = Strings(seed, [t["content"] for t in content.get("added_tokens", []) if t["id"] < known], vocabulary)
    command = [tool, "tokenize", str(path)] if gguf is None else [tool, "tokenize-gguf", gguf]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    done = tokens = 0
    while done < count:
        batch = [strings.bytes() for _ in range(min(500, count - done))]
        for data in batch:
            process.stdin.write(struct.pack("<I", len(data)) + data)
            process.stdin.flush()
            ids = struct.unpack(f"<{(n := read_u32(process.stdout)) // 4}I", process.stdout.read(n))
            text = process.stdout.read(read_u32(process.stdout)).decode()
            string = data.decode("utf-8", "replace")
            expected = oracle.encode(string).ids
            expected_text = oracle.decode(expected, skip_special_tokens=False)
            tokens += len(expected)
            if list(ids) != expected or text != expected_text:
                print(f"{name}: DIFFERENCE\n text {string!r}\n HF   {expected}\n ROSE {list(ids)}")
                print(f" HF   {[oracle.id_to_token(i) for i in expected]}\n ROSE {[oracle.id_to_token(i) for i in ids]}")
                if text != expected_text:
                    print(f" decoded HF   {expected_text!r}\n decoded ROSE {text!r}")
                process.kill()
                return False
        done += len(batch)
    process.stdin.close()
    ok = process.wait() == 0
    print(f"{name}: {done} strings, {tokens} tokens, {'all equal' if ok else 'text_tool failed'}", flush=True)
    return ok


def read_u32(stream):
    data = stream.read(4)
    if len(data) < 4:
        sys.exit("text_tool ended early")
    return struct.unpack("<I", data)[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tool")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--gguf", help="output of gguf_to_json.py: ROSE reads this, HF the named tokenizer")
    args = parser.parse_intermixed_args()
    import small_tokenizers
    real = sorted(p.name for p in SHARED.iterdir()) if SHARED.exists() else []
    good = True
    for name in args.names or real + sorted(small_tokenizers.ALL):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "tokenizer.json"
            if pathlib.Path(name).is_file():
                path = pathlib.Path(name)
            elif (SHARED / name / "tokenizer.json.xz").exists():
                path.write_bytes(lzma.open(SHARED / name / "tokenizer.json.xz").read())
            else:
                small_tokenizers.ALL[name]().save(str(path))
            good &= compare(args.tool, name, path, args.count, args.seed, args.gguf)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
