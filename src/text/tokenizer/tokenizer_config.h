// What a tokenizer_config.json says beside the tokenizer: the chat template and the names of special tokens.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace rose::text {

struct TokenizerConfig {
  std::optional<std::string> bos_token, eos_token, unk_token, pad_token, sep_token, cls_token;
  std::optional<bool> add_bos_token, add_eos_token;
  std::optional<std::string> chat_template;            ///< the one named "default" if there are several
  std::map<std::string, std::string> other_templates;  ///< the others, by name ("tool_use", "rag")
  bool clean_up_spaces = false;                        ///< clean_up_tokenization_spaces
  std::optional<size_t> max_length;                    ///< model_max_length, if it is a real limit

  /// From the content of the file. Throws TextError that names the field.
  static TokenizerConfig from_json(std::string_view json);
};

}  // namespace rose::text
