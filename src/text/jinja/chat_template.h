// Chat templates: the Jinja text of a model that turns messages into its prompt.
#pragma once

#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "text/error.h"
#include "text/jinja/ast.h"
#include "text/jinja/interpreter.h"

namespace rose::text {

/// A parsed template. Renders byte for byte what HF's apply_chat_template does (jinja2 with trim_blocks,
/// lstrip_blocks, loop controls, HF's tojson, raise_exception and strftime_now), within the limits.
/// Immutable; any number of threads may render at once.
class ChatTemplate {
 public:
  /// Throws TextError with the line for syntax errors.
  explicit ChatTemplate(std::string_view source, jinja::Limits limits = {});

  /// `variables`: messages, tools, add_generation_prompt, bos_token, ... as HF passes them; the order of keys
  /// is kept, as tojson shows it. `now`: what strftime_now tells (default: the clock, in local time). Throws
  /// TextError "chat template, line N: ..." for errors of the template, for raise_exception (its message ends
  /// the text) and when a limit is exceeded.
  std::string render(const nlohmann::ordered_json& variables,
                     std::optional<std::time_t> now = std::nullopt) const;

 private:
  jinja::Body body_;
  jinja::Limits limits_;
};

}  // namespace rose::text
