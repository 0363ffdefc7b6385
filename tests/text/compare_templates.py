#!/usr/bin/env python3
"""Compares ROSE's chat templates with jinja2 set up as HF does; prints every difference, fails if there is one.

    .venv/bin/python tests/text/compare_templates.py BUILD_DIR/bin/text_tool [--count 20000] [--seed 1] [--templates FOLDER]

Four sources: the real templates of ../shared/data/tokenizers, and of the *.jinja files and models of a folder, on many
conversations (with and without system message, tools, calls of tools and their results, thoughts, generation prompt); the
families/*.jinja on the same; the constructs in template_cases.json; and random templates made from
pieces of those. Where jinja2 raises, ROSE must raise too.
"""
import argparse
import datetime
import json
import lzma
import pathlib
import random
import struct
import subprocess
import sys

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = next((p / "shared" / "data" / "tokenizers" for p in ROOT.parents if (p / "shared").is_dir()), ROOT / "shared")
NOW = 1_750_000_000


class Generation(jinja2.ext.Extension):
    """HF's {% generation %} tag, without its bookkeeping."""
    tags = {"generation"}

    def parse(self, parser):
        lineno = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.If(jinja2.nodes.Const(True), body, [], []).set_lineno(lineno)


def environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                        extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda fmt: datetime.datetime.fromtimestamp(NOW).strftime(fmt)
    return env


class Rose:
    def __init__(self, tool):
        self.process = subprocess.Popen([tool, "render"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def render(self, template, variables):
        request = json.dumps({"template": template, "variables": variables, "now": NOW}).encode()
        self.process.stdin.write(struct.pack("<I", len(request)) + request)
        self.process.stdin.flush()
        (length,) = struct.unpack("<I", self.process.stdout.read(4))
        answer = self.process.stdout.read(length).decode()
        return answer[0], answer[1:]


TOOLS = [{"type": "function", "function": {
    "name": "get_weather", "description": "Gets the weather <now> & \"later\" – naïve ☂",
    "parameters": {"type": "object", "properties": {
        "city": {"type": "string", "description": "Name"}, "unit": {"type": "string", "enum": ["c", "f"]},
        "days": {"type": "array", "items": {"type": "integer"}, "default": [1, 2.5, None, True]}}, "required": ["city"]}}}]
CONTENTS = ["Hi", "", "  padded \n", "Zeile\nzwei", "<think>\nplan\n</think>\n\nanswer", "a</think>b", "émoji 👍 中文", "'q' \"d\" \\ \t",
            "<tool_response>x</tool_response>", "{{ not a tag }} {% raw %}"]


def conversations(rng, count):
    for _ in range(count):
        messages = []
        if rng.random() < 0.5:
            messages.append({"role": "system", "content": rng.choice(CONTENTS)})
        for _ in range(rng.randint(1, 4)):
            content = rng.choice(CONTENTS)
            messages.append({"role": "user", "content": content if rng.random() < 0.8 else [
                {"type": "text", "text": content}, {"type": "image"}]})
            if rng.random() < 0.7:
                message = {"role": "assistant", "content": rng.choice(CONTENTS)}
                if rng.random() < 0.4:
                    call = rng.choice(["c1", "call12345"])  # Mistral's have nine letters
                    arguments = {"city": rng.choice(CONTENTS), "days": [1, 2]}
                    message["tool_calls"] = [{"id": call, "type": "function", "function": {
                        "name": "get_weather", "arguments": rng.choice([arguments, json.dumps(arguments)])}}] * rng.randint(1, 2)
                    message["content"] = rng.choice([None, "", "calling"])
                if rng.random() < 0.3:
                    message[rng.choice(["reasoning_content", "thinking"])] = rng.choice(CONTENTS)
                messages.append(message)
                if "tool_calls" in message:
                    messages += [{"role": "tool", "tool_call_id": call, "content": rng.choice(CONTENTS)}] * rng.randint(1, 2)
        variables = {"messages": messages, "add_generation_prompt": rng.random() < 0.5, "bos_token": "<s>", "eos_token": "</s>"}
        if rng.random() < 0.4:
            variables["tools"] = TOOLS * rng.randint(1, 2)
        if rng.random() < 0.3:
            variables["enable_thinking"] = rng.random() < 0.5
        if rng.random() < 0.2:
            variables["reasoning_effort"] = rng.choice(["low", "high"])
        yield variables


def random_templates(rng, cases, count):
    """Pieces of the cases, joined, cut and changed: mostly they still parse."""
    tokens = ["{{", "}}", "{%", "%}", "{%-", "-%}", "{{-", "-}}", "{#", "#}", "{%+", " if ", " else ", " endif ", " for x in ", " endfor ",
              " set y = ", "|", "trim", " is ", "not ", "defined", ".", "[", "]", "(", ")", "0", "-1", "'a'", "\n", "  ", ":", "~", "+",
              "messages", "loop.index", "none", "true", ", ", "== ", " in ", "{", "}"]
    variables = {"messages": [{"role": "user", "content": "Hi\n"}, {"role": "assistant", "content": " yo "}], "n": 3, "f": 2.5,
                 "s": "Hello World", "l": [3, 1, 2], "d": {"b": 1, "a": [1, None, True], "items": "x"}, "none_value": None}
    for _ in range(count):
        parts = [rng.choice(cases) for _ in range(rng.randint(1, 3))]
        text = rng.choice(["", "\n", " ", "\n  "]).join(parts)
        for _ in range(rng.randint(0, 2)):
            at = rng.randrange(len(text) + 1)
            kind = rng.randrange(3)
            if kind == 0:
                text = text[:at] + rng.choice(tokens) + text[at:]
            elif kind == 1:
                text = text[:at] + text[at + rng.randint(1, 4):]
            else:
                text = text[:at] + rng.choice("\n -+ '") + text[at:]
        yield text, variables


def families():
    """Templates in the shapes of the known families, written for these tests."""
    return {path.stem: path.read_text() for path in sorted((pathlib.Path(__file__).parent / "families").glob("*.jinja"))}


def write_families():
    """Conversations of every kind, and what jinja2 makes of them with each family's template; null where it raises."""
    chats = []
    for system in (None, "Be  brief.\n"):
        start = [{"role": "system", "content": system}] if system else []
        for prompt in (True, False):
            one = start + [{"role": "user", "content": " Hi é👍\n"}]
            two = one + [{"role": "assistant", "content": "<think>\nplan\n</think>\n\nHello"}, {"role": "user", "content": "Zeile\nzwei"}]
            call = {"role": "assistant", "content": "", "tool_calls": [{"id": "call12345", "type": "function", "function": {
                "name": "get_weather", "arguments": {"city": "Köln \"<b>\"", "days": [1, 2.5, None, True]}}}]}
            used = two + [call, {"role": "tool", "tool_call_id": "call12345", "content": "12 °C & rain"}]
            done = used + [{"role": "assistant", "content": "Take an umbrella.", "reasoning_content": "rain", "thinking": "rain"}]
            parts = start + [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": " what? "}]}]
            for messages, tools in ((one, 0), (two, 0), (two, 1), (used, 2), (done, 1), (parts, 0), (one + one, 0)):
                chats.append({"messages": messages, "add_generation_prompt": prompt, "bos_token": "<s>", "eos_token": "</s>",
                              **({"tools": TOOLS * tools} if tools else {}), **({"enable_thinking": False} if len(messages) == 2 else {})})
    results = {}
    for name, template in families().items():
        results[name] = []
        for chat in chats:
            try:
                results[name].append(environment().from_string(template).render(**json.loads(json.dumps(chat))))
            except Exception:
                results[name].append(None)
        print(f"{name}: {sum(r is not None for r in results[name])} texts of {len(chats)}")
    (pathlib.Path(__file__).parent / "families_expected.json").write_text(
        json.dumps({"now": NOW, "conversations": chats, "results": results}, indent=0, ensure_ascii=False) + "\n")


def write_expected():
    """The texts of the cases by jinja2, null where it raises."""
    write_families()
    folder = pathlib.Path(__file__).parent
    cases = json.loads((folder / "template_cases.json").read_text())
    variables = next(v for _, v in random_templates(random.Random(0), ["x"], 1))
    results = []
    for case in cases:
        try:
            results.append(environment().from_string(case).render(**variables))
        except Exception:
            results.append(None)
    (folder / "template_expected.json").write_text(
        json.dumps({"now": NOW, "variables": variables, "results": results}, indent=0, ensure_ascii=False) + "\n")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tool")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=20)
    parser.add_argument("--templates", type=pathlib.Path, help="a folder of *.jinja and *.gguf files")
    parser.add_argument("--write", action="store_true", help="write template_expected.json and families_expected.json for chat_template_test.cpp")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    if args.write:
        return write_expected()
    env, rose = environment(), Rose(args.tool)
    cases = json.loads((pathlib.Path(__file__).parent / "template_cases.json").read_text())
    variables = next(v for _, v in random_templates(rng, ["x"], 1))
    jobs = [(f"case {i}", t, variables) for i, t in enumerate(cases)]
    templates = families()
    for folder in sorted(SHARED.iterdir()) if SHARED.exists() else []:
        config = json.loads(lzma.open(folder / "tokenizer_config.json.xz").read())
        if config.get("chat_template"):
            templates[folder.name] = config["chat_template"]
    for path in sorted(args.templates.iterdir()) if args.templates else []:
        if path.suffix == ".jinja":
            templates[path.stem] = path.read_text()
        elif path.suffix == ".gguf":
            import gguf
            field = gguf.GGUFReader(str(path)).get_field("tokenizer.chat_template")
            if field is not None:
                templates[path.stem] = field.contents()
    for name, template in templates.items():
        jobs += [(name, template, v) for v in conversations(rng, 300)]
    jobs += [("random", t, v) for t, v in random_templates(rng, cases, args.count)]
    different = rendered = raised = 0
    compiled = {}
    for name, template, values in jobs:
        try:
            if template not in compiled:
                compiled[template] = env.from_string(template)
            expected = "T", compiled[template].render(**json.loads(json.dumps(values)))
            rendered += 1
        except RecursionError:
            continue
        except Exception as error:  # whatever a wrong template makes Python raise
            expected = "E", f"{type(error).__name__}: {error}"
            raised += 1
        got = rose.render(template, values)
        if got[0] != expected[0] or (got[0] == "T" and got[1] != expected[1]):
            different += 1
            if different <= args.show:
                print(f"{name}: DIFFERENCE\n template {template[:600]!r}\n jinja2 {expected!r}\n ROSE   {got!r}"[:3000])
                if name != "random" and not name.startswith("case"):
                    print(f" variables {json.dumps(values)[:800]}")
    print(f"{len(jobs)} renderings ({rendered} texts, {raised} errors), {different} differences; real: {', '.join(templates)}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
