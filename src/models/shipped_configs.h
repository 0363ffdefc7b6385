// The configurations of well-known models that come with the program (the folder configs/), for measuring
// their shapes without their weights.
#pragma once

#include <span>
#include <string_view>

namespace rose::models {

struct ShippedConfig {
  std::string_view name;  // "Llama-3.1-8B"
  std::string_view json;  // the text of its config.json
};

std::span<const ShippedConfig> shipped_configs();

}  // namespace rose::models
