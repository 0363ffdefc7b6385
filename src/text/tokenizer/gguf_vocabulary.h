// The tokenizer that a GGUF file carries in its metadata, as plain data for Tokenizer::from_gguf.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/tokenizer.h"

namespace rose::text {

/// The keys "tokenizer.ggml.*" of a GGUF file. The views must stay valid until from_gguf returns.
struct GgufVocabulary {
  std::string model;  ///< model: "gpt2", "llama", "bert" or "t5"
  std::string pre;    ///< pre: the pre-tokenizer of a gpt2 model ("qwen2", "llama-bpe", ...)
  std::vector<std::string_view> tokens;  ///< tokens
  std::vector<float> scores;             ///< scores; may be empty except for llama and t5
  std::vector<int32_t> token_types;      ///< token_type: 1 normal, 2 unknown, 3 control, 4 user defined, 5
                                         ///< unused, 6 byte; may be empty
  std::vector<std::string_view> merges;  ///< merges: "left right", gpt2 only
  std::optional<uint32_t> bos, eos, unknown, separator, padding, cls;  ///< bos_token_id, eos_token_id, ...
  std::optional<bool> add_bos, add_eos;   ///< add_bos_token, add_eos_token; default by kind of model
  std::optional<bool> add_space_prefix;   ///< add_space_prefix; default true for llama and t5
  std::string_view precompiled_charsmap;  ///< precompiled_charsmap, t5 only
};

/// Throws TextError that names the key for lists that do not fit together, ids beyond the vocabulary and
/// kinds that are not known.
std::unique_ptr<Tokenizer> tokenizer_from_gguf(const GgufVocabulary& vocabulary);

}  // namespace rose::text
