// The tables that a tokenizer is loaded into, and the cursor that reads them, against plain ones.
#include "text/tokenizer/vocabulary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "text/error.h"
#include "text/tokenizer/bpe_merges.h"
#include "text/tokenizer/gguf_vocabulary.h"
#include "text/tokenizer/json_scanner.h"
#include "text/tokenizer/merge_reader.h"

namespace rose::text {
namespace {

std::string random_text(std::mt19937& random, size_t longest, const char* letters) {
  std::string text;
  const size_t count = std::strlen(letters);
  for (size_t left = random() % (longest + 1); left-- > 0;) text += letters[random() % count];
  return text;
}

// Bulk and one by one, with tokens and ids that come again, around the length that a slot holds.
TEST(Vocabulary, EqualsAMap) {
  std::mt19937 random(3);
  for (int round = 0; round < 60; round++) {
    const bool bulk = round % 2 == 0;
    Vocabulary vocabulary;
    Vocabulary::Builder builder;
    std::map<std::string, TokenId> ids;
    std::string text;  // as in a document: most tokens have readable bytes behind them
    std::vector<std::pair<size_t, size_t>> places;
    for (int i = 0; i < 3000; i++) {
      std::string token =
          random_text(random, round < 30 ? 18 : 300, round % 3 == 0 ? "ab" : "abcdefgh\xC3\xA9");
      places.emplace_back(text.size(), token.size());
      text += token;
    }
    for (size_t i = 0; i < places.size(); i++) {
      std::string_view token = std::string_view(text).substr(places[i].first, places[i].second);
      // Every tenth id is one that was given before.
      auto id = static_cast<TokenId>(random() % 10 == 0 ? random() % (i + 1) : i);
      bulk ? builder.add(token, id, text.size() - places[i].first) : vocabulary.add(token, id);
      ids[std::string(token)] = id;
    }
    if (bulk) vocabulary = builder.build();
    EXPECT_EQ(vocabulary.size(), ids.size());
    for (const auto& [token, id] : ids) ASSERT_EQ(vocabulary.find(token), id) << token;
    for (TokenId id = 0; id < vocabulary.id_limit(); id++)
      if (vocabulary.has(id)) {
        ASSERT_EQ(ids.at(std::string(vocabulary.token(id))), id);
      }
    for (int i = 0; i < 3000; i++) {
      std::string token = random_text(random, 20, "abcdefghi");
      ASSERT_EQ(vocabulary.find(token), ids.contains(token) ? ids[token] : kNoToken) << token;
    }
  }
}

TEST(Vocabulary, SaysWhetherAllTokensAreUtf8) {
  auto valid = [](std::initializer_list<std::string_view> tokens) {
    Vocabulary::Builder builder;
    TokenId id = 0;
    for (auto token : tokens) builder.add(token, id++);
    return builder.is_valid_utf8();
  };
  EXPECT_TRUE(valid({"a", "", "é", "日本"}));
  EXPECT_FALSE(valid({"a", "\xC3", "\xA9"}));  // valid only in a row
  EXPECT_FALSE(valid({"a", "\xC3", "b"}));
  EXPECT_FALSE(valid({"a", "\xE6\x97"}));
}

TEST(Gguf, TokensThatAreNotUtf8AreNamed) {
  for (const char* model : {"gpt2", "llama", "bert", "t5"}) {
    GgufVocabulary vocabulary;
    vocabulary.model = model;
    vocabulary.tokens = {"a", "\xC3", "\xA9"};
    vocabulary.scores = {0, 0, 0};
    try {
      tokenizer_from_gguf(vocabulary);
      ADD_FAILURE() << model;
    } catch (const TextError& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr("tokenizer.ggml.tokens[1]: not valid UTF-8"));
    }
  }
}

TEST(BpeMerges, TheLastOfEqualPairsCounts) {
  std::mt19937 random(5);
  LargeVector<BpeMerges::Merge> list;
  std::map<std::pair<TokenId, TokenId>, std::pair<uint32_t, TokenId>> expected;
  for (uint32_t rank = 0; rank < 20'000; rank++) {
    auto left = static_cast<TokenId>(random() % 200), right = static_cast<TokenId>(random() % 200);
    list.push_back({left, right, rank + 7});
    expected[{left, right}] = {rank, rank + 7};
  }
  const BpeMerges merges(std::move(list));
  for (TokenId left = 0; left < 210; left++)
    for (TokenId right = 0; right < 210; right++) {
      auto rule = merges.find(left, right);
      auto found = expected.find({left, right});
      ASSERT_EQ(rule.merged, found == expected.end() ? kNoToken : found->second.second);
      ASSERT_EQ(rule.rank, found == expected.end() ? 0xFFFFFFFF : found->second.first);
    }
}

// Merged tokens in any order and of any length, with and without a subword prefix.
TEST(MergeReader, FindsWhatTheTextsSay) {
  std::mt19937 random(9);
  for (size_t prefix : {0, 2}) {
    Vocabulary vocabulary;
    std::vector<std::string> texts;
    for (TokenId id = 0; id < 4000; id++) {
      texts.push_back(std::string(prefix, '#') + random_text(random, 12, "abc") + std::to_string(id));
      vocabulary.add(texts.back(), id);
    }
    std::vector<std::array<TokenId, 3>> wanted;
    for (TokenId id = 4000; id < 8000; id++) {
      const TokenId left = random() % texts.size(), right = random() % 4000;
      texts.push_back(texts[left] + texts[right].substr(prefix));
      if (random() % 8 == 0) texts.back() += "x";  // a number that is skipped
      vocabulary.add(texts.back(), id);
      if (texts.back().back() == 'x') continue;
      for (auto times = 1 + random() % 2; times-- > 0;)
        wanted.push_back({left, right, vocabulary.find(texts.back())});
    }
    MergeReader reader(vocabulary, prefix, 0, [](size_t, std::string_view) { throw TextError("missing"); });
    for (auto [left, right, merged] : wanted) {
      auto& buffers = reader.buffers();
      buffers = {texts[left], texts[right]};
      reader.add({buffers[0], texts[left].size()}, {buffers[1], texts[right].size()});
    }
    const BpeMerges merges = reader.take();
    for (auto [left, right, merged] : wanted)
      ASSERT_EQ(vocabulary.token(merges.find(left, right).merged), vocabulary.token(merged));
    MergeReader without(vocabulary, prefix, 0, [](size_t rank, std::string_view token) {
      throw TextError(std::to_string(rank) + " " + std::string(token));
    });
    without.add({texts[0], 0}, {texts[0], 0});
    EXPECT_THAT([&] { without.take(); },
                ::testing::ThrowsMessage<TextError>("0 " + texts[0] + texts[0].substr(prefix)));
  }
}

nlohmann::json random_json(std::mt19937& random, int depth) {
  const auto kind = random() % (depth > 0 ? 6 : 4);
  if (kind < 3) return random_text(random, random() % 4 == 0 ? 90 : 9, "ab\\\\\"\"{}[] \n");
  if (kind == 3) return random() % 1000;
  nlohmann::json value = kind == 4 ? nlohmann::json::array() : nlohmann::json::object();
  for (auto left = random() % 6; left-- > 0;) {
    if (kind == 4)
      value.push_back(random_json(random, depth - 1));
    else
      value[random_text(random, 12, "k\\\"{]")] = random_json(random, depth - 1);
  }
  return value;
}

TEST(JsonScanner, ValuesEndWhereTheyEnd) {
  std::mt19937 random(11);
  for (int i = 0; i < 20'000; i++) {
    nlohmann::json value = random_json(random, 5);
    std::string text = value.dump(random() % 2 ? 1 : -1), before(random() % 70, ' '),
                behind(random() % 70, ']');
    const std::string whole = before + text + behind;
    JsonScanner over(whole, "test");
    over.peek();
    if (value.is_number()) continue;
    ASSERT_EQ(over.value(), text);
    if (value.is_string()) {
      JsonScanner again(whole, "test");
      std::string buffer;
      ASSERT_EQ(again.string(buffer), value.get<std::string>());
    }
    const std::string cut = before + text.substr(0, random() % text.size());
    JsonScanner short_of(cut, "test");
    ASSERT_THROW(short_of.value(), TextError) << cut;
  }
}

}  // namespace
}  // namespace rose::text
