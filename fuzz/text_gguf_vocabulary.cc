// libFuzzer: lines as the tokenizer of a GGUF file. The first byte chooses the kind; each line is a token, or
// after a tab a merge; its last byte gives type and score. What loads must encode and decode.
#include <array>
#include <cstdint>
#include <limits>
#include <string_view>

#include "text/tokenizer/detokenizer.h"
#include "text/tokenizer/gguf_vocabulary.h"

using namespace rose::text;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static constexpr std::array<const char*, 5> kModels = {"gpt2", "llama", "bert", "t5", "none"};
  static constexpr std::array<const char*, 6> kPre = {"",       "llama-bpe", "qwen2", "deepseek-v3",
                                                      "smollm", "odd"};
  static constexpr std::array<float, 8> kScores = {0,
                                                   -1,
                                                   -2.5F,
                                                   3e38F,
                                                   -3e38F,
                                                   std::numeric_limits<float>::infinity(),
                                                   -std::numeric_limits<float>::infinity(),
                                                   std::numeric_limits<float>::quiet_NaN()};
  if (size < 3) return 0;
  GgufVocabulary vocabulary;
  vocabulary.model = kModels[data[0] % kModels.size()];
  vocabulary.pre = kPre[data[1] % kPre.size()];
  if (data[2] & 1) vocabulary.bos = data[2] >> 4;
  if (data[2] & 2) vocabulary.unknown = data[2] >> 5;
  if (data[2] & 4) vocabulary.add_space_prefix = (data[2] & 8) != 0;
  std::string_view rest(reinterpret_cast<const char*>(data) + 3, size - 3);
  const std::string_view all = rest;
  while (!rest.empty()) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.starts_with('\t')) {
      vocabulary.merges.push_back(line.substr(1));
    } else if (line.starts_with('\v')) {
      vocabulary.precompiled_charsmap = line.substr(1);
    } else {
      auto last = static_cast<unsigned char>(line.empty() ? 0 : line.back());
      vocabulary.tokens.push_back(line.substr(0, line.size() - !line.empty()));
      vocabulary.token_types.push_back(last & 7);
      vocabulary.scores.push_back(kScores[last >> 3 & 7]);
    }
  }
  try {
    auto tokenizer = tokenizer_from_gguf(vocabulary);
    tokenizer->decode(tokenizer->encode("Hello wörld <s>  \xff\xe2\x82 12 日本"));
    Detokenizer stream(*tokenizer);
    for (auto id : tokenizer->encode(all.substr(0, 300))) stream.push(id);
    stream.finish();
  } catch (const TextError&) {
  }
  return 0;
}
