// Chat templates. The expected texts of template_cases.json are in template_expected.json, which
// compare_templates.py --write makes with jinja2; here a C++ build checks them without Python.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "text/jinja/chat_template.h"

namespace rose::text {
namespace {

using Json = nlohmann::ordered_json;

Json read_json(const char* name) {
  std::ifstream file(std::string(ROSE_SOURCE_DIR) + "/tests/text/" + name);
  return Json::parse(file);
}

TEST(ChatTemplate, EqualsJinja2OnEveryConstruct) {
  Json cases = read_json("template_cases.json"), golden = read_json("template_expected.json");
  ASSERT_EQ(cases.size(), golden["results"].size());
  setenv("TZ", "UTC", 1);
  for (size_t i = 0; i < cases.size(); i++) {
    auto source = cases[i].get<std::string>();
    const Json& expected = golden["results"][i];
    try {
      std::string text = ChatTemplate(source).render(golden["variables"], golden["now"].get<std::time_t>());
      ASSERT_TRUE(expected.is_string()) << source << " should fail, gives " << text;
      EXPECT_EQ(text, expected.get<std::string>()) << source;
    } catch (const TextError& error) {
      EXPECT_TRUE(expected.is_null()) << source << ": " << error.what();
    }
  }
}

// Conversations with and without system message, tools, calls and results of tools, thoughts and generation
// prompt, in the shapes of Llama 3, Qwen 3, Gemma 3, SmolLM2, Mistral, Phi-3, DeepSeek-V3 and gpt-oss.
TEST(ChatTemplate, EqualsJinja2OnTheKnownFamilies) {
  Json golden = read_json("families_expected.json");
  setenv("TZ", "UTC", 1);
  EXPECT_EQ(golden["results"].size(), 8u);
  for (const auto& [family, texts] : golden["results"].items()) {
    std::ifstream file(std::string(ROSE_SOURCE_DIR) + "/tests/text/families/" + family + ".jinja");
    const std::string source{std::istreambuf_iterator<char>(file), {}};
    ChatTemplate chat_template(source);
    size_t rendered = 0;
    for (size_t i = 0; i < texts.size(); i++) {
      const Json& chat = golden["conversations"][i];
      try {
        std::string text = chat_template.render(chat, golden["now"].get<std::time_t>());
        ASSERT_TRUE(texts[i].is_string()) << family << " should fail on " << chat << ", gives " << text;
        EXPECT_EQ(text, texts[i].get<std::string>()) << family << " on " << chat;
        rendered++;
      } catch (const TextError& error) {
        EXPECT_TRUE(texts[i].is_null()) << family << " on " << chat << ": " << error.what();
      }
    }
    EXPECT_GE(rendered, texts.size() / 3) << family;
  }
}

TEST(ChatTemplate, MessagesOfRaiseExceptionAndLineNumbersReachTheCaller) {
  auto message = [](std::string_view source) {
    try {
      ChatTemplate(source).render(Json::object());
    } catch (const TextError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(message("a\n{{ raise_exception('roles must alternate') }}"),
            "chat template, line 2: roles must alternate");
  EXPECT_EQ(message("a\nb\n{{ x.y }}"), "chat template, line 3: 'x' is undefined");
  EXPECT_THAT(message("{% if a %}\n{% endfor %}"), ::testing::HasSubstr("line 2"));
  EXPECT_THAT(message("{% for x in [1] %}\n\n{{ x < 'a' }}{% endfor %}"),
              ::testing::HasSubstr("line 3: '<' not supported"));
}

TEST(ChatTemplate, ToolSchemasKeepTheirOrder) {
  Json tools = Json::parse(
      R"([{"type": "function", "function": {"name": "f", "parameters": {"z": 1, "a": [true, null, 1.0, "é"]}}}])");
  EXPECT_EQ(
      ChatTemplate("{% for t in tools %}{{ t | tojson }}{% endfor %}").render({{"tools", tools}}),
      R"({"type": "function", "function": {"name": "f", "parameters": {"z": 1, "a": [true, null, 1.0, "é"]}}})");
}

TEST(ChatTemplate, InvalidUtf8InMessagesIsReplaced) {
  EXPECT_EQ(ChatTemplate("{{ x }}").render({{"x", "a\xff"}}), "a\uFFFD");
}

TEST(ChatTemplate, OneTemplateRendersManyTimes) {
  ChatTemplate counter(
      "{% set ns = namespace(n=0) %}{% for i in range(k) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}");
  for (int k = 0; k < 5; k++) EXPECT_EQ(counter.render({{"k", k}}), std::to_string(k * (k - 1) / 2));
}

}  // namespace
}  // namespace rose::text
