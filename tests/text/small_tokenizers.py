"""Small tokenizers of every kind, trained in a second on a few sentences, for comparison with HF `tokenizers`."""
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

TEXTS = ["The quick brown fox jumps over the lazy dog. It wasn't there, was it?", "Pack my box with five dozen liquor jugs!",
         "Hello world, hello tokenizers; naïve café façade résumé 1234 5678 3.14", "你好世界 日本語テキスト 한국어 텍스트",
         "Привет мир, как дела? Ελληνικά κείμενα עברית عربي हिन्दी ไทย", "def f(x):\n    return x ** 2  # comment\n\n\n"] * 3
SPECIALS = ["<unk>", "<s>", "</s>", "<pad>", "<mask>"]
BYTES = [f"<0x{b:02X}>" for b in range(256)]


def finish(tokenizer, trainer):
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def added(tokenizer):
    tokenizer.add_special_tokens([AddedToken("<|turn|>", lstrip=True, rstrip=True, normalized=False),
                                  AddedToken("<|end|>", rstrip=True)])
    tokenizer.add_tokens([AddedToken("fox jumps", single_word=True), AddedToken("Grüße", normalized=True), "日本", " lazy"])
    return tokenizer


def bert():
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer()
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    finish(t, trainers.WordPieceTrainer(vocab_size=600, special_tokens=["[UNK]", "[CLS]", "[SEP]", "[MASK]", "[PAD]"]))
    t.post_processor = processors.BertProcessing(("[SEP]", t.token_to_id("[SEP]")), ("[CLS]", t.token_to_id("[CLS]")))
    return t


def bert_cased():
    t = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=20))
    t.normalizer = normalizers.BertNormalizer(lowercase=False, clean_text=False, handle_chinese_chars=True, strip_accents=None)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece(cleanup=False)
    finish(t, trainers.WordPieceTrainer(vocab_size=400, special_tokens=["[UNK]", "[CLS]", "[SEP]"]))
    t.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
                                                     special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    return added(t)


def roberta():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    t.decoder = decoders.ByteLevel()
    finish(t, trainers.BpeTrainer(vocab_size=700, special_tokens=SPECIALS, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 1))
    return added(t)


def smollm():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                               pre_tokenizers.ByteLevel(add_prefix_space=False)])
    t.decoder = decoders.ByteLevel()
    return added(finish(t, trainers.BpeTrainer(vocab_size=500, special_tokens=SPECIALS)))  # without a full byte alphabet


def llama2():
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    finish(t, trainers.BpeTrainer(vocab_size=900, special_tokens=SPECIALS + BYTES))
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)])
    return added(t)


def mistral_metaspace():
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=False, byte_fallback=False))
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    t.decoder = decoders.Metaspace(prepend_scheme="first", split=False)
    return added(finish(t, trainers.BpeTrainer(vocab_size=300, special_tokens=SPECIALS)))


def clip():
    t = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>", fuse_unk=True))
    t.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), "removed", invert=True)])
    t.decoder = decoders.BPEDecoder(suffix="</w>")
    return finish(t, trainers.BpeTrainer(vocab_size=500, special_tokens=SPECIALS, end_of_word_suffix="</w>"))


def prefixed_bpe():
    t = Tokenizer(models.BPE(unk_token="<unk>", continuing_subword_prefix="##"))
    t.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Strip()])
    t.pre_tokenizer = pre_tokenizers.Whitespace()
    t.decoder = decoders.WordPiece(prefix="##")
    return added(finish(t, trainers.BpeTrainer(vocab_size=500, special_tokens=SPECIALS, continuing_subword_prefix="##")))


def xlm_roberta():
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.decoder = decoders.Metaspace()
    finish(t, trainers.UnigramTrainer(vocab_size=400, special_tokens=SPECIALS, unk_token="<unk>"))
    t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 1), trim_offsets=True, add_prefix_space=True)
    return added(t)


def unigram_bytes():
    base = xlm_roberta()
    import json
    content = json.loads(base.to_str())
    content["model"]["byte_fallback"] = True
    content["model"]["vocab"] += [[b, -20.0] for b in BYTES]
    content["normalizer"] = {"type": "NFKD"}
    content["decoder"] = {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {
        "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}]}
    content["added_tokens"] = content["added_tokens"][:5]
    return Tokenizer.from_str(json.dumps(content))


def charsmap():
    """A real compiled character map, taken from a model that sentencepiece trains here."""
    import base64
    import io
    import json

    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2 as pb
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(TEXTS * 20), model_writer=out, vocab_size=300,
                                             normalization_rule_name="nmt_nfkc_cf", hard_vocab_limit=False, minloglevel=2)
    model = pb.ModelProto()
    model.ParseFromString(out.getvalue())
    content = json.loads(xlm_roberta().to_str())
    content["normalizer"] = {"type": "Sequence", "normalizers": [
        {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()},
        {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]}
    return Tokenizer.from_str(json.dumps(content))


def word_level():
    t = Tokenizer(models.WordLevel(unk_token="<unk>"))
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation("merged_with_previous"),
                                               pre_tokenizers.Digits(individual_digits=False)])
    return added(finish(t, trainers.WordLevelTrainer(vocab_size=300, special_tokens=SPECIALS)))


def splits():
    """Every behaviour of Split, with look-ahead groups that no automaton can run."""
    t = Tokenizer(models.BPE(unk_token="<unk>"))
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"\d{1,3}(?=(?:\d{3})*\b)"), "isolated"),
        pre_tokenizers.Split(Regex(r"[\p{Han}&&[^一]]+|(?<=\s)\p{Lu}++|\p{Ll}*+(?!\p{Lu})"), "merged_with_next"),
        pre_tokenizers.Split(".", "contiguous"), pre_tokenizers.Split(Regex(r"\b|x*?"), "merged_with_previous"),
        pre_tokenizers.Split(Regex(r"(?i:QU|\x{20}o)|[[:punct:]]{2,}"), "removed"), pre_tokenizers.CharDelimiterSplit("-")])
    return added(finish(t, trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIALS)))


ALL = {f.__name__: f for f in (bert, bert_cased, roberta, smollm, llama2, mistral_metaspace, clip, prefixed_bpe, xlm_roberta,
                               unigram_bytes, charsmap, word_level, splits)}
