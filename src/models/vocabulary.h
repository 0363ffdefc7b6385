// The tokenizer and the chat template that come with a checkpoint, and which tokens begin and end a text.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/checkpoint.h"
#include "text/jinja/chat_template.h"
#include "text/tokenizer/tokenizer.h"

namespace rose::models {

struct Message {
  std::string role, content;
};

/// Immutable; any number of threads may use one at once.
class Vocabulary {
 public:
  /// From tokenizer.json (and tokenizer_config.json) of a folder, or the metadata of a GGUF file. Throws
  /// TextError, WeightsError or ModelError naming file and field.
  explicit Vocabulary(const Checkpoint& checkpoint);

  const text::Tokenizer& tokenizer() const { return *tokenizer_; }
  /// Ids of plain text, as a model without a template reads it: with the begin token where the model wants
  /// one.
  std::vector<int32_t> encode(std::string_view text) const;
  /// Ids of a text that a chat template wrote: control tokens in it count, none are added.
  std::vector<int32_t> encode_chat(std::string_view text) const;
  /// The prompt for an answer to these messages. Throws ModelError when the model has no template or a wrong
  /// one.
  std::string chat_prompt(const std::vector<Message>& messages) const;
  bool has_template() const { return !template_source_.empty(); }
  const std::string& template_source() const { return template_source_; }

  /// Tokens that end an answer.
  const std::vector<int32_t>& stop_tokens() const { return stop_tokens_; }

 private:
  void from_gguf(const Checkpoint& checkpoint);
  void from_folder(const Checkpoint& checkpoint);

  std::unique_ptr<text::Tokenizer> tokenizer_;
  std::unique_ptr<text::ChatTemplate> template_;
  std::string template_source_, template_place_, template_error_;  // place: the template's file
  std::string bos_text_, eos_text_;
  std::vector<int32_t> stop_tokens_;
};

}  // namespace rose::models
