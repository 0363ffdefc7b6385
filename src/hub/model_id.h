// How a model of the hub is named: org/model[@revision][:quant].
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace rose::hub {

struct ModelId {
  std::string repo;               // "org/model"
  std::string revision = "main";  // a branch, a tag, "refs/pr/7" or a commit
  std::string quant;              // "Q4_K_M": which GGUF file of the model; may be empty

  // As it was typed: parts that have their default value are left out.
  std::string text() const;
};

// Accepts https://huggingface.co/org/model too. nullopt when `text` does not have the form of an id at all
// (a plain name, a path); throws HubError when it has it and a part is impossible, such as "..".
std::optional<ModelId> parse_model_id(std::string_view text);

}  // namespace rose::hub
