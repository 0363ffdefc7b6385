// Files and templates made to break the reader: every one ends as a TextError that says where.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "small_tokenizers.h"
#include "text/jinja/chat_template.h"
#include "text/tokenizer/tokenizer.h"
#include "text/tokenizer/tokenizer_config.h"

namespace rose::text {
namespace {

using ::testing::HasSubstr;

template <typename Action>
std::string message_of(Action action) {
  try {
    action();
  } catch (const TextError& error) {
    return error.what();
  }
  return "no error";
}

std::string load_message(const Json& json) {
  return message_of([&] { Tokenizer::from_json(json.dump()); });
}

TEST(HostileTokenizerJson, MessagesNameTheField) {
  using Change = std::function<void(Json&)>;
  const std::pair<Change, std::string_view> cases[] = {
      {[](Json& j) { j.erase("model"); }, "model.vocab is missing"},
      {[](Json& j) { j["model"]["type"] = "Neural"; }, "model.type"},
      {[](Json& j) { j["model"].erase("vocab"); }, "model.vocab is missing"},
      {[](Json& j) { j["model"]["vocab"]["x"] = -1; }, "expected a number"},
      {[](Json& j) { j["model"]["vocab"]["x"] = 1.5; }, "whole number"},
      {[](Json& j) { j["model"]["vocab"]["x"] = 4000000000u; }, "2^24"},
      {[](Json& j) { j["model"]["merges"].push_back({"h", "zz"}); }, "model.merges[6]"},
      {[](Json& j) { j["model"]["merges"].push_back("h"); }, "one space"},
      {[](Json& j) { j["model"]["merges"] = 3; }, "expected '['"},
      {[](Json& j) { j["normalizer"] = {{"type", "Magic"}}; }, "normalizer.type"},
      {[](Json& j) { j["normalizer"] = 3; }, "normalizer must be an object"},
      {[](Json& j) { j["normalizer"] = {{"type", "Precompiled"}, {"precompiled_charsmap", "AAA*"}}; },
       "base64"},
      {[](Json& j) { j["normalizer"] = {{"type", "Precompiled"}, {"precompiled_charsmap", "/////w=="}}; },
       "double array"},
      {[](Json& j) {
         j["pre_tokenizer"] = {{"type", "Split"}, {"pattern", {{"Regex", "(a"}}}, {"behavior", "Isolated"}};
       },
       "lacks a ')'"},
      {[](Json& j) {
         j["pre_tokenizer"] = {{"type", "Split"}, {"pattern", {{"Regex", "a"}}}, {"behavior", "Odd"}};
       },
       "behavior"},
      {[](Json& j) { j["pre_tokenizer"] = {{"type", "FixedLength"}, {"length", 0}}; }, "length"},
      {[](Json& j) { j["decoder"] = {{"type", "Strip"}, {"content", "ab"}}; }, "one character"},
      {[](Json& j) {
         j["post_processor"] = {
             {"type", "TemplateProcessing"}, {"single", 1}, {"special_tokens", Json::object()}};
       },
       "post_processor.single"},
      {[](Json& j) {
         j["post_processor"] = {{"type", "BertProcessing"}, {"cls", {"[CLS]"}}, {"sep", {"[SEP]", 1}}};
       },
       "post_processor.cls"},
      {[](Json& j) { j["added_tokens"] = {{{"content", 7}}}; }, "expected '\"'"},
  };
  for (const auto& [change, expected] : cases) {
    Json json = byte_level_json();
    change(json);
    EXPECT_THAT(load_message(json), HasSubstr(expected));
  }
  EXPECT_THAT(message_of([] { Tokenizer::from_json(""); }), HasSubstr("tokenizer.json"));
  EXPECT_THAT(message_of([] { Tokenizer::from_json("{\"a\":\xff}"); }), HasSubstr("UTF-8"));
  EXPECT_THAT(message_of([] { Tokenizer::from_json("{\"a\":" + std::string(1000, '[')); }),
              HasSubstr("deep"));
  EXPECT_THAT(message_of([] { Tokenizer::from_json("{} x"); }), HasSubstr("behind the end"));
}

TEST(HostileTokenizerJson, EveryTruncationAndManyChangesAreErrorsOrLoad) {
  std::mt19937 random(11);
  for (const Json& json : {sentencepiece_json(), bert_json(), unigram_json()}) {
    std::string text = json.dump();
    size_t step = text.size() / 400 + 1;
    for (size_t cut = 0; cut < text.size(); cut += step)
      EXPECT_NE(message_of([&] { Tokenizer::from_json(std::string_view(text).substr(0, cut)); }), "no error")
          << cut;
    for (int round = 0; round < 400; round++) {
      std::string changed = text;
      for (int i = 0; i < 3; i++) changed[random() % changed.size()] = "{}[]\",:0a\\"[random() % 10];
      message_of([&] { Tokenizer::from_json(changed)->encode("hello ab! \xff"); });
    }
  }
}

TEST(HostileTemplates, EndlessAndHugeOnesStop) {
  jinja::Limits limits;
  limits.steps = 1'000'000;
  limits.output_bytes = 1 << 20;
  limits.created_bytes = 64 << 20;
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"{% for a in range(999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}", "steps"},
      {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "deeper than"},
      {"{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", "deeper than"},
      {"{{ 'a' * 999999999999 }}", "bytes of values"},
      {"{{ [0] * 999999999 }}", "bytes of values"},
      {"{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor "
       "%}",
       "bytes of values"},
      {"{% for i in range(99999) %}{{ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' }}{% endfor %}", "larger than"},
      {"{{ range(1000000) }}", "range too big"},
      {"{{ '%1000000d' % 1 }}", "10000"},
      {"{{ 'x'.center(99999999999) }}", "bytes of values"},
      {"{{ 2 ** 99999 }}", "64 bits"},
      {"{{ 9223372036854775807 + 1 }}", "64 bits"},
      {"{{ (-9223372036854775807 - 1) // -1 }}", "64 bits"},
      {"{% set ns = namespace(l=[]) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}{% endfor %}",
       "nested"},
      {"{{ 'a'.join(range(99999) | map('string')) | indent(99999999) }}", "bytes of values"},
      {"{% set ns = namespace() %}{% set ns.me = ns %}{{ ns.me.me }}{{ ns == ns.me }}{{ 1/0 }}",
       "division by zero"},
  };
  for (const auto& [source, expected] : cases)
    EXPECT_THAT(message_of([&, text = source] { ChatTemplate(text, limits).render(Json::object()); }),
                HasSubstr(expected))
        << source;
}

TEST(HostileTemplates, AttributesOfPythonAreOutOfReach) {
  for (std::string_view source :
       {"{{ ''.__class__.__mro__ }}", "{{ [].append(1) }}", "{{ {}.update({1: 2}) }}", "{{ x.__init__() }}",
        "{{ cycler.__globals__.os }}", "{{ messages.clear() }}", "{{ '{0.__class__.__x__}'.format('') }}",
        "{{ ''['__class__']['__mro__'] }}", "{{ ''|attr('__class__')|attr('x') }}",
        "{% include '/etc/passwd' %}", "{% import 'os' as os %}"})
    EXPECT_NE(message_of([&] { ChatTemplate(source).render({{"messages", Json::array()}, {"x", 1}}); }),
              "no error")
        << source;
}

TEST(HostileTemplates, DeepNestingIsRefusedWhenParsing) {
  auto parse = [](const std::string& text) { return message_of([&] { ChatTemplate chat_template(text); }); };
  auto many = [](std::string_view part, int count) {
    std::string out;
    for (int i = 0; i < count; i++) out += part;
    return out;
  };
  EXPECT_THAT(parse("{{ " + many("(", 100000) + many(")", 100000) + " }}"), HasSubstr("deep"));
  EXPECT_THAT(parse("{{ " + many("not ", 100000) + "x }}"), HasSubstr("deep"));
  EXPECT_THAT(parse("{{ " + many("-", 100000) + "1 }}"), HasSubstr("deep"));
  EXPECT_THAT(parse("{{ 1" + many("+1", 100000) + " }}"), HasSubstr("deep"));
  EXPECT_THAT(parse("{{ x" + many(".a", 100000) + " }}"), HasSubstr("deep"));
  EXPECT_THAT(parse("{{ x" + many("|trim", 100000) + " }}"), HasSubstr("deep"));
  EXPECT_THAT(parse(many("{% if x %}", 100000)), HasSubstr("deep"));
  EXPECT_THAT(parse("{% if x %}" + many("{% elif x %}", 100000)), HasSubstr("deep"));
  EXPECT_THAT(parse("{% set " + many("(", 100000) + many(")", 100000) + " %}"), HasSubstr("deep"));
  EXPECT_THAT(parse("{{ 1" + many(" if 1 else 1", 100000) + " }}"), HasSubstr("deep"));
}

TEST(HostileTemplates, DeepVariablesAreRefused) {
  Json deep = 1;
  for (int i = 0; i < 300; i++) deep = Json::array({deep});
  EXPECT_THAT(message_of([&] { ChatTemplate("{{ x }}").render({{"x", deep}}); }), HasSubstr("nested"));
}

TEST(TokenizerConfig, ReadsTokensAndTemplates) {
  auto config = TokenizerConfig::from_json(
      R"({"bos_token": {"content": "<s>"}, "eos_token": "</s>", "pad_token": null, "add_bos_token": true,
          "chat_template": [{"name": "default", "template": "a"}, {"name": "rag", "template": "b"}],
          "model_max_length": 1000000000000000019884624838656})");
  EXPECT_EQ(config.bos_token, "<s>");
  EXPECT_EQ(config.eos_token, "</s>");
  EXPECT_EQ(config.pad_token, std::nullopt);
  EXPECT_EQ(config.chat_template, "a");
  EXPECT_EQ(config.other_templates.at("rag"), "b");
  EXPECT_EQ(config.max_length, std::nullopt);
  EXPECT_THAT(message_of([] { TokenizerConfig::from_json("[]"); }), HasSubstr("tokenizer_config.json"));
  EXPECT_THAT(message_of([] { TokenizerConfig::from_json(R"({"bos_token": 3})"); }), HasSubstr("bos_token"));
}

}  // namespace
}  // namespace rose::text
