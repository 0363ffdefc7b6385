// The tokenizer and chat templates that a GGUF file carries, as plain values for whoever builds a tokenizer.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "weights/meta_data.h"

namespace rose::weights {

// Kinds of tokens in "tokenizer.ggml.token_type".
enum class TokenType : int32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

// All views point into the mapped file: keep the Gguf (or a copy of its MetaData) alive. An absent key gives
// an empty vector or nullopt; the meaning of absence depends on `model` and is the reader's business.
struct GgufTokenizer {
  std::string_view
      model;  // "gpt2" byte-level BPE, "llama" SentencePiece BPE, "t5" Unigram, "bert" WordPiece, …
  std::string_view
      pre;  // name of the pre-tokenizer's rule for BPE: "smollm", "llama-bpe", "qwen2", "default", …

  std::vector<std::string_view> tokens;  // by id; byte-level BPE tokens use GPT-2's visible alphabet
  std::vector<float> scores;             // empty or one a token
  std::vector<int32_t> types;            // TokenType; empty or one a token
  std::vector<std::string_view> merges;  // BPE: "left right", best first
  uint64_t segment_count = 0;            // "token_type_count": BERT's token_type embeddings; 0 when absent

  std::optional<uint32_t> bos, eos, end_of_turn, end_of_message, unknown, separator, padding, mask, classify;
  std::optional<uint32_t> fill_prefix, fill_suffix, fill_middle;  // fill-in-the-middle markers
  std::optional<bool> add_bos, add_eos, add_separator, add_space_prefix, remove_extra_whitespaces;

  std::string_view precompiled_charsmap;  // Unigram: SentencePiece's normaliser as raw bytes
  std::string_view huggingface_json;      // a whole tokenizer.json, when the file carries one

  std::string_view chat_template;                                     // Jinja text; "" when the file has none
  std::map<std::string_view, std::string_view> named_chat_templates;  // "tool_use", "rag", …
};

// Throws WeightsError that names file and key when the tokens are missing, a list has another length than
// they, or an id is not one of them.
GgufTokenizer read_tokenizer(const MetaData& metadata);

}  // namespace rose::weights
