// Every kind of model on tokenizers small enough to check by hand; the fuzzed comparison with HF `tokenizers`
// is compare_tokenizers.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <random>
#include <thread>

#include "small_tokenizers.h"
#include "text/tokenizer/detokenizer.h"
#include "text/tokenizer/gguf_vocabulary.h"
#include "text/tokenizer/normalizer.h"
#include "text/unicode/utf8.h"

namespace rose::text {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> tokens(const Tokenizer& tokenizer, std::string_view text,
                                const EncodeOptions& options = {}) {
  std::vector<std::string> out;
  for (TokenId id : tokenizer.encode(text, options)) out.emplace_back(tokenizer.id_to_token(id));
  return out;
}

std::string stream(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  Detokenizer detokenizer(tokenizer, false);
  std::string all;
  for (TokenId id : ids) {
    std::string part = detokenizer.push(id);
    EXPECT_TRUE(unicode::is_valid(part));
    all += part;
  }
  return all + detokenizer.finish();
}

TEST(ByteLevelBpe, MergesByRank) {
  auto t = Tokenizer::from_json(byte_level_json().dump());
  EXPECT_THAT(tokens(*t, "hello"), ElementsAre("hello"));
  EXPECT_THAT(tokens(*t, "hel"), ElementsAre("he", "l"));
  EXPECT_THAT(tokens(*t, "llll"), ElementsAre("ll", "ll"));
  EXPECT_THAT(tokens(*t, "hello world"), ElementsAre("hello", "Ġw", "o", "r", "l", "d"));
  EXPECT_THAT(tokens(*t, "e\u0301"), ElementsAre("Ã©"));  // NFC first
  EXPECT_THAT(tokens(*t, ""), ElementsAre());
}

TEST(ByteLevelBpe, LongAndShortWordsMergeAlike) {
  // Words beyond a few dozen symbols take the heap instead of the scan.
  auto t = Tokenizer::from_json(byte_level_json().dump());
  std::mt19937 random(3);
  for (int round = 0; round < 300; round++) {
    std::string word;
    for (size_t i = 30 + random() % 60; i-- > 0;) word.push_back("helo"[random() % 4]);
    // A greedy reference: apply the rules in order of rank, each from left to right.
    std::vector<std::string> expected;
    for (char c : word) expected.emplace_back(1, c);
    for (auto [left, right] : {std::pair("h", "e"), {"l", "l"}, {"he", "ll"}, {"hell", "o"}}) {
      for (size_t i = 0; i + 1 < expected.size(); i++) {
        if (expected[i] != left || expected[i + 1] != right) continue;
        expected[i] += right;
        expected.erase(expected.begin() + static_cast<long>(i) + 1);
      }
    }
    EXPECT_EQ(tokens(*t, word), expected) << word;
  }
}

TEST(ByteLevelBpe, SpecialTokensInTheTextAreOneTokenUnlessSwitchedOff) {
  auto t = Tokenizer::from_json(byte_level_json().dump());
  EXPECT_THAT(tokens(*t, "he<|end|>l"), ElementsAre("he", "<|end|>", "l"));
  EXPECT_THAT(tokens(*t, "<think>he"), ElementsAre("<think>", "he"));
  EncodeOptions plain;
  plain.parse_special_tokens = false;
  EXPECT_THAT(tokens(*t, "<|end|>", plain), ElementsAre("<", "|", "e", "n", "d", "|", ">"));
  auto ids = t->encode("he<|end|>");
  EXPECT_EQ(t->decode(ids), "he");
  EXPECT_EQ(t->decode(ids, false), "he<|end|>");
  EXPECT_EQ(t->token_to_id("<|end|>"), 262u);
  EXPECT_TRUE(t->is_special(262));
  EXPECT_FALSE(t->is_special(263));
}

TEST(ByteLevelBpe, InvalidUtf8IsReplacedFirst) {
  auto t = Tokenizer::from_json(byte_level_json().dump());
  EXPECT_EQ(t->encode("a\xff\xe2\x82z"), t->encode("a\uFFFD\uFFFDz"));
}

TEST(SentencePieceBpe, BytesForUnknownCharacters) {
  auto t = Tokenizer::from_json(sentencepiece_json().dump());
  EXPECT_THAT(tokens(*t, "ab a"), ElementsAre("<s>", "▁a", "b", "▁a"));  // "▁ a" has the best rank
  EXPECT_THAT(tokens(*t, "é"), ElementsAre("<s>", "▁", "<0xC3>", "<0xA9>"));
  EncodeOptions bare;
  bare.add_special_tokens = false;
  auto ids = t->encode("ab é👍 b", bare);
  EXPECT_EQ(t->decode(ids), "ab é👍 b");
  EXPECT_EQ(stream(*t, ids), "ab é👍 b");
}

TEST(WordPiece, LongestPieceFirst) {
  auto t = Tokenizer::from_json(bert_json().dump());
  EXPECT_THAT(tokens(*t, "UnAffable, Hello!"),
              ElementsAre("[CLS]", "un", "##aff", "##able", "[UNK]", "hello", "!", "[SEP]"));
  EXPECT_THAT(tokens(*t, "世a"), ElementsAre("[CLS]", "世", "[UNK]", "[SEP]"));
  EXPECT_EQ(t->decode(t->encode("unaffable hello !")), "unaffable hello!");
}

TEST(WordPiece, PairsHaveSegmentsAndAreCutLongestFirst) {
  auto t = Tokenizer::from_json(bert_json().dump());
  Encoding pair = t->encode_pair("hello", "un un un un");
  EXPECT_THAT(pair.ids, ElementsAre(2, 7, 3, 4, 4, 4, 4, 3));
  EXPECT_THAT(pair.type_ids, ElementsAre(0, 0, 0, 1, 1, 1, 1, 1));
  EncodeOptions cut;
  cut.max_length = 6;
  EXPECT_THAT(t->encode_pair("hello", "un un un un", cut).ids, ElementsAre(2, 7, 3, 4, 4, 3));
  EXPECT_THAT(t->encode_pair("un un un un", "hello ! !", cut).ids, ElementsAre(2, 4, 4, 3, 7, 3));
  EXPECT_EQ(t->encode("un un un un un un un", cut).size(), 6u);
}

TEST(Unigram, BestSumOfScores) {
  auto t = Tokenizer::from_json(unigram_json().dump());
  EXPECT_THAT(tokens(*t, "ab"), ElementsAre("▁", "ab"));  // -6.0 beats "▁a b" -6.5 and "▁ab" -7.1
  EXPECT_THAT(tokens(*t, "b?!a"), ElementsAre("▁", "b", "<unk>", "a"));  // a run of unknowns is one token
  EXPECT_EQ(t->decode(t->encode("ab ba")), "ab ba");
}

TEST(Gguf, LlamaModelMergesByScore) {
  std::vector<std::string> names = {"<unk>", "<s>", "</s>"};
  std::vector<int32_t> types = {2, 3, 3};
  for (int byte = 0; byte < 256; byte++) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    names.emplace_back(name);
    types.push_back(6);
  }
  std::vector<float> scores(names.size(), 0);
  const std::pair<const char*, float> pieces[] = {{"▁", -9},  {"a", -8},   {"b", -7},
                                                  {"ab", -1}, {"▁ab", -2}, {"bb", -1}};
  for (auto [piece, score] : pieces) names.emplace_back(piece), types.push_back(1), scores.push_back(score);
  GgufVocabulary vocabulary;
  vocabulary.model = "llama";
  vocabulary.tokens.assign(names.begin(), names.end());
  vocabulary.token_types = types;
  vocabulary.scores = scores;
  vocabulary.bos = 1, vocabulary.eos = 2, vocabulary.unknown = 0;
  auto t = tokenizer_from_gguf(vocabulary);
  EXPECT_THAT(tokens(*t, "ab"), ElementsAre("<s>", "▁ab"));
  EXPECT_THAT(tokens(*t, "abb"), ElementsAre("<s>", "▁ab", "b"));  // "ab" and "bb" tie: the left one joins
  EXPECT_THAT(tokens(*t, "é"), ElementsAre("<s>", "▁", "<0xC3>", "<0xA9>"));
  EXPECT_EQ(t->decode(t->encode("ab é</s>b")), "ab é b");
}

TEST(Gguf, WrongMetadataNamesTheKey) {
  GgufVocabulary vocabulary;
  vocabulary.model = "gpt2";
  auto message = [&] {
    try {
      tokenizer_from_gguf(vocabulary);
    } catch (const TextError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(message(), ::testing::HasSubstr("tokenizer.ggml.tokens"));
  vocabulary.tokens = {"a", "b"};
  vocabulary.merges = {"a b"};
  EXPECT_THAT(message(), ::testing::HasSubstr("tokenizer.ggml.merges[0]"));
  vocabulary.merges = {};
  vocabulary.pre = "nonsense";
  EXPECT_THAT(message(), ::testing::HasSubstr("nonsense"));
  vocabulary.pre = "gpt-2";
  vocabulary.token_types = {1};
  EXPECT_THAT(message(), ::testing::HasSubstr("token_type"));
  vocabulary.token_types = {1, 3};
  vocabulary.bos = 2;
  EXPECT_THAT(message(), ::testing::HasSubstr("special token id 2"));
  vocabulary.bos = 1;
  vocabulary.model = "rwkv";
  EXPECT_THAT(message(), ::testing::HasSubstr("rwkv"));
}

TEST(Detokenizer, NeverHalfACharacter) {
  auto t = Tokenizer::from_json(byte_level_json().dump());
  std::string text = "hello é 👍🏽 日本語 \u0000x";
  auto ids = t->encode(text);
  EXPECT_EQ(stream(*t, ids), text);
  // Cut anywhere: what was pushed so far is a prefix, and the rest becomes U+FFFD.
  for (size_t cut = 0; cut <= ids.size(); cut++) {
    std::vector<TokenId> part(ids.begin(), ids.begin() + static_cast<long>(cut));
    EXPECT_EQ(stream(*t, part), t->decode(part, false)) << cut;
  }
}

TEST(Detokenizer, RandomTokensEqualDecodingAllAtOnce) {
  std::mt19937 random(7);
  for (const Json& json : {byte_level_json(), bert_json(), unigram_json()}) {
    auto t = Tokenizer::from_json(json.dump());
    for (int round = 0; round < 500; round++) {
      std::vector<TokenId> ids;
      for (size_t i = random() % 30; i-- > 0;) ids.push_back(static_cast<TokenId>(random() % t->id_limit()));
      EXPECT_EQ(stream(*t, ids), t->decode(ids, false));
    }
  }
}

TEST(Tokenizer, ThreadsShareOne) {
  auto t = Tokenizer::from_json(byte_level_json().dump());
  std::string text;
  for (int i = 0; i < 500; i++) text += "hello world " + std::to_string(i);
  auto expected = t->encode(text);
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int i = 0; i < 4; i++)
    threads.emplace_back([&] {
      for (int round = 0; round < 20; round++) wrong += t->encode(text) != expected;
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

// A map with two keys, "A" -> "a" and U+0300 -> "x", as SentencePiece compiles them: a double array (root at
// 0; units of the bytes at root ^ byte) and the replacements. The shortest key that a short grapheme begins
// with replaces all of it, so the results show where HF cuts.
TEST(PrecompiledMap, CutsGraphemesAsHfDoes) {
  std::array<uint32_t, 256> units{};
  units['A'] = 'A' | 1 << 8 | ('A' ^ 66) << 10, units[66] = 1U << 31;
  units[0xCC] = 0xCC, units[0xCC ^ 0x80] = 0x80 | 1 << 8 | 1 << 10, units[0xCC ^ 0x80 ^ 1] = 1U << 31 | 2;
  const uint32_t bytes = sizeof units;
  std::string map(sizeof bytes + bytes, '\0');
  std::memcpy(map.data(), &bytes, sizeof bytes);
  std::memcpy(map.data() + sizeof bytes, units.data(), bytes);
  auto normalizer = make_precompiled(map += std::string_view("a\0x", 4));
  auto of = [&](std::string text) {
    normalizer->apply(text);
    return text;
  };
  EXPECT_EQ(of("AbA\u0301"), "aba");
  EXPECT_EQ(of("A\u0897b"), "ab");                 // a mark since Unicode 16
  EXPECT_EQ(of("A\U000113B8b"), "ab");             // a vowel sign since Unicode 16
  EXPECT_EQ(of("b\u0300\u0301"), "bx\u0301");      // a grapheme that begins with no key goes by characters
  EXPECT_EQ(of("\uFFF7\u0300\u0301"), "\uFFF7x");  // unassigned and ignorable: a control, so cut behind it
  EXPECT_EQ(of("A\uFFF7"), "a\uFFF7");             // and before it
  EXPECT_EQ(of("\U000E0080\u0300\u0301"), "\U000E0080x");
}

TEST(AddedTokens, StripWordsAndNormalisedForms) {
  Json json = bert_json();
  json["added_tokens"].push_back(added("Hello World", false, true));  // found as "hello world"
  json["added_tokens"].push_back(added("[M]"));
  json["added_tokens"].back()["lstrip"] = true;
  json["added_tokens"].back()["rstrip"] = true;
  json["added_tokens"].push_back(added("hell", false));
  json["added_tokens"].back()["single_word"] = true;
  auto t = Tokenizer::from_json(json.dump());
  EXPECT_THAT(tokens(*t, "un  [M]  HELLO wörld!"),
              ElementsAre("[CLS]", "un", "[M]", "Hello World", "!", "[SEP]"));
  EXPECT_THAT(tokens(*t, "hello hell"), ElementsAre("[CLS]", "hello", "hell", "[SEP]"));
}

}  // namespace
}  // namespace rose::text
