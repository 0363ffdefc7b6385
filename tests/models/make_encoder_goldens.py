#!/usr/bin/env python3
"""Makes small random encoder checkpoints and what transformers and sentence-transformers compute with them.

    python tests/models/make_encoder_goldens.py tests/models/data/encoders

Each folder is a whole model (config.json, model.safetensors, tokenizer.json, …) with golden.json beside it: hidden
states of some texts, logits and scores of texts and pairs, embeddings. Weights are stored in f16 to keep the files
small and computed with in f32. C++ tests (encoder_golden_test.cpp) read them, so this script runs only when models
are added. Needs torch, transformers and sentence-transformers."""

import argparse
import json
import pathlib
import shutil

import numpy
import sentence_transformers
import torch
import transformers
from safetensors.torch import load_file, save_file
from sentence_transformers import models as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

HIDDEN, HEADS, LAYERS, INNER, POSITIONS = 32, 2, 2, 48, 40
WORDS = ["a", "the", "cat", "dog", "sat", "on", "mat", "rug", "is", "where", "who", "fine", "day", "rain", "sun", "and", "not",
         "sea", "red", "blue", "##s", "##ing", "##ed", "un", "##un", ",", ".", "?", "!", "sleep", "run", "eat"]
LETTERS = [chr(c) for c in range(ord("a"), ord("z") + 1)]
TEXTS = ["the cat sat on the mat.", "a", "", "where is the dog? not on the rug!", "rain and sun and sea, a fine red day",
         "the cat eats and the dog sleeps " * 12,
         "a <pad> day"]  # RoBERTa's own padding token in the midst of a text
PAIRS = [["where is the cat?", "the cat is on the mat."], ["who?", ""], ["is the sea blue and red " * 9, "not blue"],
         ["red", "the dog runs and runs and runs " * 9]]


def wordpiece(special):
    """A tokenizer in the manner of BERT; `special` holds its five special tokens."""
    pad, unk, cls, sep, mask = special
    vocabulary = {word: i for i, word in enumerate([pad, unk, cls, sep, mask] + WORDS + LETTERS + ["##" + c for c in LETTERS])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=unk))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}", pair=f"{cls} $A {sep} $B:1 {sep}:1", special_tokens=[(cls, vocabulary[cls]), (sep, vocabulary[sep])])
    names = dict(pad_token=pad, unk_token=unk, cls_token=cls, sep_token=sep, mask_token=mask)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=POSITIONS,
                                                model_input_names=["input_ids", "token_type_ids", "attention_mask"], **names)


def roberta_like(byte_level):
    """Byte-level BPE (RoBERTa) or Unigram (XLM-RoBERTa) with <s> A </s></s> B </s>."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    if byte_level:
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        merges = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("Ġ", "a"), ("a", "t"), ("Ġ", "s"), ("Ġs", "at"), ("c", "at"), ("Ġ", "cat")]
        vocabulary = {token: i for i, token in enumerate(special + alphabet + [a + b for a, b in merges])}
        tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    else:
        pieces = ["▁" + w for w in WORDS if not w.startswith("##")] + LETTERS + ["▁", ".", "?", "!", ",", "s", "ing"]
        scores = [(token, 0.0) for token in special] + [(p, -2.0 - len(p) / 10) for p in dict.fromkeys(pieces)]
        tokenizer = Tokenizer(models.Unigram(scores, unk_id=3))
        tokenizer.normalizer = normalizers.NFKC()
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>",
                                                                 special_tokens=[("<s>", 0), ("</s>", 2)])
    names = dict(bos_token="<s>", pad_token="<pad>", eos_token="</s>", unk_token="<unk>", mask_token="<mask>", cls_token="<s>", sep_token="</s>")
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=POSITIONS - 2,
                                                model_input_names=["input_ids", "attention_mask"], **names)


BERT_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def bert(**more):
    return transformers.BertConfig(hidden_size=HIDDEN, num_attention_heads=HEADS, num_hidden_layers=LAYERS, intermediate_size=INNER,
                                   max_position_embeddings=POSITIONS, **more)


def roberta(kind=transformers.RobertaConfig, **more):
    return kind(hidden_size=HIDDEN, num_attention_heads=HEADS, num_hidden_layers=LAYERS, intermediate_size=INNER, type_vocab_size=1,
                max_position_embeddings=POSITIONS, pad_token_id=1, bos_token_id=0, eos_token_id=2, layer_norm_eps=1e-5, **more)


def distilbert(**more):
    return transformers.DistilBertConfig(dim=HIDDEN, n_heads=HEADS, n_layers=LAYERS, hidden_dim=INNER, max_position_embeddings=POSITIONS, **more)


def modernbert(**more):
    return transformers.ModernBertConfig(hidden_size=HIDDEN, num_attention_heads=HEADS, num_hidden_layers=4, intermediate_size=INNER,
                                         max_position_embeddings=128, local_attention=8, pad_token_id=0, bos_token_id=2, eos_token_id=3,
                                         cls_token_id=2, sep_token_id=3, **more)


LABELS = {0: "sad", 1: "so-so", 2: "glad"}
EMBED = {  # name: config, tokenizer
    "bert": (bert(), wordpiece(BERT_TOKENS)),
    "distilbert": (distilbert(activation="relu"), wordpiece(BERT_TOKENS)),
    "roberta": (roberta(), roberta_like(True)),
    "xlm-roberta": (roberta(transformers.XLMRobertaConfig), roberta_like(False)),
    "modernbert": (modernbert(global_attn_every_n_layers=2), wordpiece(BERT_TOKENS)),
    "modernbert-biased": (modernbert(attention_bias=True, mlp_bias=True, norm_bias=True, global_attn_every_n_layers=3), wordpiece(BERT_TOKENS)),
}
CLASSIFY = {
    "bert-classifier": (bert(id2label=LABELS), wordpiece(BERT_TOKENS)),
    "distilbert-classifier": (distilbert(id2label=LABELS, problem_type="multi_label_classification"), wordpiece(BERT_TOKENS)),
    "roberta-classifier": (roberta(id2label=LABELS, problem_type="single_label_classification"), roberta_like(True)),
    "modernbert-classifier": (modernbert(id2label=LABELS, problem_type="regression", classifier_pooling="mean", classifier_bias=True,
                                         norm_bias=True, classifier_activation="silu"), wordpiece(BERT_TOKENS)),
    "bert-reranker": (bert(num_labels=1), wordpiece(BERT_TOKENS)),
    "xlm-roberta-reranker": (roberta(transformers.XLMRobertaConfig, num_labels=1), roberta_like(False)),
}
POOLING = {"bert": ["mean"], "distilbert": ["cls"], "roberta": ["lasttoken"], "xlm-roberta": ["max", "weightedmean"],
           "modernbert": ["weightedmean"], "modernbert-biased": ["mean_sqrt_len_tokens"]}


def randomise(model, seed):
    """Weights far from their tidy initial values, so that no term can be forgotten unseen; all fit f16."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            noise = torch.randn(tensor.shape, generator=generator)
            if tensor.dim() == 2:
                values = noise / (1.5 if "embeddings" in name else tensor.shape[1] ** 0.5)
            else:
                values = noise * 0.2 + (1.0 if name.endswith("weight") else 0.0)
            tensor.copy_(values.half().float())


def halve(folder):
    for file in folder.rglob("*.safetensors"):
        save_file({name: t.half().contiguous() for name, t in load_file(file).items()}, file, metadata={"format": "pt"})


def listed(tensor):
    return [[float(f"{v:.7g}") for v in row] for row in tensor.tolist()]


def clean(folder):
    """Files that nobody reads."""
    for name in ["README.md", "special_tokens_map.json", "vocab.txt", "training_args.bin"]:
        (folder / name).unlink(missing_ok=True)


def make_embedder(root, name, config, tokenizer):
    folder = root / name
    config.vocab_size = len(tokenizer)
    model = transformers.AutoModel.from_config(config).eval()
    randomise(model, len(name))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    transformer = st.Transformer(str(folder))
    pooling = st.Pooling(HIDDEN, pooling_mode=POOLING[name], include_prompt=name != "roberta")
    modules = [transformer, pooling]
    if name == "distilbert":
        dense = st.Dense(HIDDEN, 20, activation_function=torch.nn.Tanh())
        randomise(dense, 5)
        modules.append(dense)
    if name in ("bert", "distilbert", "modernbert"):
        modules.append(st.Normalize())
    prompts = {"query": "where is ", "document": ""}
    whole = sentence_transformers.SentenceTransformer(modules=modules, prompts=prompts, default_prompt_name="query" if name == "roberta" else None, device="cpu")
    whole.save(str(folder))
    halve(folder)
    golden = {"texts": TEXTS, "ids": [], "hidden": []}
    with torch.no_grad():
        for text in TEXTS:
            inputs = tokenizer(text, return_tensors="pt", truncation=True, max_length=POSITIONS - 2)
            golden["ids"].append(inputs["input_ids"][0].tolist())
            inputs.pop("token_type_ids", None) if name.startswith(("distil", "modern")) else None
            golden["hidden"].append(listed(model(**inputs).last_hidden_state[0, [0, -1]]))
    golden["embeddings"] = listed(torch.tensor(whole.encode(TEXTS, prompt="")))
    golden["with_prompt"] = listed(torch.tensor(whole.encode(TEXTS, prompt_name="query")))
    golden["dimensions_8"] = listed(torch.tensor(whole.encode(TEXTS, prompt="", truncate_dim=8, normalize_embeddings=True)))
    golden["max_tokens"] = whole.max_seq_length if name[0] not in "rx" else POSITIONS - 2
    (folder / "golden.json").write_text(json.dumps(golden))
    clean(folder)


def make_classifier(root, name, config, tokenizer):
    folder = root / name
    config.vocab_size = len(tokenizer)
    model = transformers.AutoModelForSequenceClassification.from_config(config).eval()
    randomise(model, len(name))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    golden = {"texts": TEXTS, "pairs": PAIRS, "logits": [], "pair_logits": []}
    limit = POSITIONS - 2
    with torch.no_grad():
        for kind, inputs in (("logits", TEXTS), ("pair_logits", PAIRS)):
            for one in inputs:
                arguments = [[one]] if isinstance(one, str) else [[part] for part in one]  # lists: "" is then a text too
                encoded = tokenizer(*arguments, return_tensors="pt", truncation=True, max_length=limit)
                if name.startswith(("distil", "modern")):
                    encoded.pop("token_type_ids", None)
                golden[kind].append(listed(model(**encoded).logits)[0])
    golden["max_tokens"] = limit
    if config.problem_type != "regression" and config.num_labels > 1:
        pipeline = transformers.pipeline("text-classification", model=model, tokenizer=tokenizer, top_k=None)
        golden["probabilities"] = []
        for text in TEXTS:
            rows = pipeline([text], truncation=True, max_length=limit)[0]
            scores = {row["label"]: row["score"] for row in rows}
            golden["probabilities"].append([scores[label] for label in config.id2label.values()])
    if config.num_labels == 1:
        cross = sentence_transformers.CrossEncoder(str(folder), device="cpu", max_length=limit)
        if name == "xlm-roberta-reranker":  # an activation of its own, kept in config_sentence_transformers.json
            cross.activation_fn = torch.nn.Identity()
        cross.save_pretrained(str(folder))
        golden["scores"] = [float(s) for s in cross.predict(PAIRS)]
    halve(folder)
    (folder / "golden.json").write_text(json.dumps(golden))
    clean(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name, parts in EMBED.items():
        shutil.rmtree(options.folder / name, ignore_errors=True)
        make_embedder(options.folder, name, *parts)
    for name, parts in CLASSIFY.items():
        shutil.rmtree(options.folder / name, ignore_errors=True)
        make_classifier(options.folder, name, *parts)
    size = sum(f.stat().st_size for f in options.folder.rglob("*") if f.is_file())
    print(f"{len(EMBED) + len(CLASSIFY)} models, {size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
