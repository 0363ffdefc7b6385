// libFuzzer: any bytes as a tokenizer.json must load or end as a TextError, and what loads must encode and
// decode.
#include <cstdint>
#include <string_view>

#include "text/tokenizer/detokenizer.h"
#include "text/tokenizer/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view json(reinterpret_cast<const char*>(data), size);
  try {
    auto tokenizer = rose::text::Tokenizer::from_json(json);
    auto pair = tokenizer->encode_pair("Hello wörld <s> \xff\xe2\x82 12 日本", json.substr(0, 200),
                                       {.max_length = 64});
    tokenizer->decode(pair.ids);
    rose::text::Detokenizer stream(*tokenizer);
    for (auto id : tokenizer->encode("a b<s>\n\n🙂")) stream.push(id);
    stream.finish();
  } catch (const rose::text::TextError&) {
  }
  return 0;
}
