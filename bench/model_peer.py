#!/usr/bin/env python3
"""A model of random weights in transformers: prompt and decode speed, for bench/gpu to hold ROSE's against.

    bench/model_peer.py CONFIG.json [--device cuda] [--prompt 1024] [--batch 1,64] [--generate 64] [--modes graph,compiled]

Decoding has a static cache of keys and values. Mode "graph": the plain forward step captured in one CUDA graph; "compiled":
torch.compile(mode="reduce-overhead"). Both are greedy. Prints one JSON object a line: a line for each result as it is found,
so that what was measured is not lost when a time limit ends the program.
"""
import argparse
import json
import sys
import time


def say(**result):
    print(json.dumps(result), flush=True)


def load(torch, path, device):
    import transformers
    with open(path) as f:
        fields = json.load(f)
    kind = fields.pop("model_type")
    fields.pop("torch_dtype", None)
    config = transformers.AutoConfig.for_model(kind, **fields)
    config._attn_implementation = "sdpa"
    torch.manual_seed(1)
    torch.set_default_dtype(torch.bfloat16)
    make = transformers.AutoModel if kind == "bert" else transformers.AutoModelForCausalLM
    with torch.device(device):
        model = make.from_config(config)
    return config, model.eval().to(torch.bfloat16)


def make_cache(torch, config, batch, length, device):
    import transformers
    try:
        return transformers.StaticCache(config=config, max_cache_len=length)
    except TypeError:
        return transformers.StaticCache(config=config, max_batch_size=batch, max_cache_len=length, device=device, dtype=torch.bfloat16)


class Clock:
    """Seconds of device work, by events on a GPU."""

    def __init__(self, torch, device):
        self.torch, self.gpu = torch, device.startswith("cuda")

    def wait(self):
        if self.gpu:
            self.torch.cuda.synchronize()

    def time(self, work):
        self.wait()
        start = time.perf_counter()
        work()
        self.wait()
        return time.perf_counter() - start


def median(values):
    return sorted(values)[len(values) // 2]


def forward(model, tokens, cache, position):
    return model(input_ids=tokens, past_key_values=cache, cache_position=position, position_ids=position.unsqueeze(0).expand(tokens.shape[0], -1),
                 use_cache=True, logits_to_keep=1).logits[:, -1].argmax(-1, keepdim=True)


def prefill(torch, model, config, batch, prompt, device, clock, repeats):
    tokens = torch.randint(0, config.vocab_size, (batch, prompt), device=device)
    run = lambda: model(input_ids=tokens, use_cache=False, logits_to_keep=1)
    run()
    return median([clock.time(run) for _ in range(repeats)])


def decode(torch, model, config, batch, prompt, generate, device, clock, mode):
    """Median seconds of a step in the middle of an answer."""
    cache = make_cache(torch, config, batch, prompt + generate + 8, device)
    # What the keys hold does not change the time: they are random instead of coming from a prompt.
    token = torch.randint(0, config.vocab_size, (batch, 1), device=device)
    forward(model, token, cache, torch.arange(1, device=device))
    for tensor in (getattr(layer, name) for layer in getattr(cache, "layers", []) for name in ("keys", "values")):
        tensor.normal_()
    position = torch.full((1,), prompt + generate // 2, dtype=torch.long, device=device)
    started = time.perf_counter()
    if mode == "graph":
        for _ in range(2):
            forward(model, token, cache, position)
        if clock.gpu:
            torch.cuda.synchronize()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                token.copy_(forward(model, token, cache, position))
            step = graph.replay
        else:
            step = lambda: forward(model, token, cache, position)
    else:
        compiled = torch.compile(forward, mode="reduce-overhead", fullgraph=True, dynamic=False)
        step = lambda: token.copy_(compiled(model, token, cache, position))
    for _ in range(4):
        step()
    clock.wait()
    prepared = time.perf_counter() - started
    rounds = [clock.time(lambda: [step() for _ in range(8)]) / 8 for _ in range(max(3, generate // 8))]
    return median(rounds), prepared


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--prompt", type=int, default=1024)
    parser.add_argument("--prefill", default="8192x1", help="PROMPTxBATCH,…: prompts to read")
    parser.add_argument("--batch", default="1,64")
    parser.add_argument("--generate", type=int, default=64)
    parser.add_argument("--modes", default="graph,compiled")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    import torch
    clock = Clock(torch, options.device)
    with torch.inference_mode():
        start = time.perf_counter()
        config, model = load(torch, options.config, options.device)
        clock.wait()
        say(what="load", seconds=time.perf_counter() - start)
        if config.model_type == "bert":
            for shape in filter(None, options.prefill.split(",")):
                prompt, batch = map(int, shape.split("x"))
                tokens = torch.randint(0, config.vocab_size, (batch, prompt), device=options.device)
                model(tokens)
                say(what="texts", prompt=prompt, batch=batch, seconds=median([clock.time(lambda: model(tokens)) for _ in range(options.repeat)]))
            return 0
        for shape in filter(None, options.prefill.split(",")):
            prompt, batch = map(int, shape.split("x"))
            try:
                say(what="prefill", prompt=prompt, batch=batch,
                    seconds=prefill(torch, model, config, batch, prompt, options.device, clock, options.repeat))
            except Exception as error:
                say(what="failed", prompt=prompt, batch=batch, mode="prefill", why=str(error)[:300])
        for mode in filter(None, options.modes.split(",")):
            for batch in map(int, options.batch.split(",")):
                try:
                    seconds, prepared = decode(torch, model, config, batch, options.prompt, options.generate, options.device, clock, mode)
                    say(what="decode", mode=mode, prompt=options.prompt, batch=batch, seconds=seconds, prepare_seconds=prepared)
                except Exception as error:  # one mode that a version of transformers cannot do must not lose the other
                    say(what="failed", mode=mode, batch=batch, why=f"{type(error).__name__}: {error}"[:300])
                if mode == "compiled":
                    torch._dynamo.reset()
    return 0


if __name__ == "__main__":
    sys.exit(main())
