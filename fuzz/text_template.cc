// libFuzzer: any bytes as a chat template must render or end as a TextError, within small budgets.
#include <cstdint>
#include <string_view>

#include "text/jinja/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto variables = nlohmann::ordered_json::parse(
      R"({"messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "Hi\n"},
                       {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f", "arguments": {"a": [1, 2.5]}}}]}],
          "tools": [{"type": "function"}], "add_generation_prompt": true, "bos_token": "<s>", "n": 3, "s": "Hello", "l": [3, 1, 2],
          "d": {"b": 1, "a": null}})");
  rose::text::jinja::Limits limits;
  limits.steps = 20000;
  limits.output_bytes = 1 << 16;
  limits.created_bytes = 4 << 20;
  try {
    rose::text::ChatTemplate chat_template(std::string_view(reinterpret_cast<const char*>(data), size),
                                           limits);
    chat_template.render(variables, 1750000000);
  } catch (const rose::text::TextError&) {
  }
  return 0;
}
