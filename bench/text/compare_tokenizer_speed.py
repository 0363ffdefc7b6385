#!/usr/bin/env python3
"""Tokenizing speed of ROSE and of HF `tokenizers`, one thread each, side by side in one run.

    tests/text/tools/build_text_tool.sh BUILD_DIR
    .venv/bin/python bench/text/compare_tokenizer_speed.py BUILD_DIR/bin/text_tool [NAME_OR_FILE ...]

The texts are files of this machine (English documentation, source code) and generated multilingual text, cut
into documents of about 2 KB. HF runs encode_batch_fast (no offsets) with one thread. Times are processor time,
the best of five passes, after a first pass that fills both caches. Loading is Tokenizer.from_json of the file's
content against Tokenizer.from_str.
"""
import glob
import json
import lzma
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import Tokenizer  # noqa: E402  (reads the two variables)

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = next((p / "shared" / "data" / "tokenizers" for p in ROOT.parents if (p / "shared").is_dir()), ROOT / "shared")
WORDS = """the of and to in is that for with as 你好世界 今天天气 很好 我们 日本語の テキスト を 処理する 한국어 문장 처리 Привет как
дела сегодня хорошо Ελληνικά κείμενα مرحبا بالعالم नमस्ते दुनिया สวัสดีชาวโลก Tiếng Việt đẹp größer straße où été niño 👍 🎉 1234 3.14""".split()


def documents(patterns, total):
    text = ""
    for path in sorted(p for pattern in patterns for p in glob.glob(pattern)):
        if len(text) < total and os.path.isfile(path):
            text += pathlib.Path(path).read_text("utf-8", "ignore").replace("\0", "")
    return [text[i:i + 2000] for i in range(0, min(len(text), total), 2000)]


def multilingual(total):
    rng = random.Random(1)
    out = []
    while sum(map(len, out)) < total:
        out.append(" ".join(rng.choice(WORDS) for _ in range(300)))
    return out


def main():
    tool, names = sys.argv[1], sys.argv[2:] or sorted(p.name for p in SHARED.iterdir())
    texts = {"english": documents(["/usr/share/doc/*/README*", "/usr/share/doc/*/NEWS*", "/usr/share/common-licenses/*"], 2_000_000),
             "code": documents([sys.prefix + "/lib/python3*/site-packages/*/*.py", os.path.dirname(os.__file__) + "/*.py"], 2_000_000),
             "multilingual": multilingual(1_000_000)}
    print(f"{'tokenizer':12} {'text':13} {'MB':>5} {'HF MB/s':>8} {'ROSE MB/s':>10} {'ratio':>6} {'HF load ms':>11} {'ROSE load ms':>13}")
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            path = pathlib.Path(folder) / "tokenizer.json"
            given = pathlib.Path(name)  # a name, or the path of a tokenizer.json
            path.write_bytes(given.read_bytes() if given.is_file() else lzma.open(SHARED / name / "tokenizer.json.xz").read())
            name = given.parent.name if given.is_file() else name
            content = path.read_text("utf-8")
            start = time.process_time()
            hf = Tokenizer.from_str(content)
            hf_load = time.process_time() - start
            hf.no_truncation()
            hf.no_padding()
            for kind, docs in texts.items():
                size = sum(len(d.encode()) for d in docs)
                best = 1e9
                for _ in range(5):
                    start = time.process_time()
                    encodings = hf.encode_batch_fast(docs)
                    best = min(best, time.process_time() - start)
                file = pathlib.Path(folder) / "text"
                file.write_bytes(b"\0".join(d.encode() for d in docs))
                rose = json.loads(subprocess.run([tool, "bench", path, file], capture_output=True, check=True).stdout)
                assert rose["tokens"] == sum(len(e.ids) for e in encodings), "different token counts"
                seconds = rose["encode_cpu_ms"] / 1e3
                print(f"{name:12} {kind:13} {size / 1e6:5.1f} {size / best / 1e6:8.2f} {size / seconds / 1e6:10.2f} {best / seconds:6.1f}"
                      f" {hf_load * 1e3:11.0f} {rose['load_cpu_ms']:13.1f}", flush=True)


if __name__ == "__main__":
    main()
