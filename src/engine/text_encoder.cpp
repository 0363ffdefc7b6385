#include "engine/text_encoder.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/decoder_text_encoder.h"
#include "engine/encoder_engine.h"
#include "models/decoder.h"
#include "models/encoder.h"

namespace rose::engine {
namespace {

const char* verb(TextTask task) {
  switch (task) {
    case TextTask::kEmbed:
      return "embed";
    case TextTask::kScore:
      return "rerank";
    case TextTask::kClassify:
      return "classify";
  }
  return "";
}

}  // namespace

TextResult TextEncoder::run(TextTask task, std::span<const TextInput> inputs, const TextOptions& options) {
  if (!can(task))
    throw EngineError(fmt::format("the model is {}, which cannot {}; use `rose {}`", description(),
                                  verb(task), verb(main_task())));
  if (inputs.empty()) return {};
  if (options.max_tokens < 0)
    throw EngineError(
        fmt::format("max_tokens {}: use 1 or more, or 0 for the model's own limit", options.max_tokens));
  if (options.dimensions < 0 || options.dimensions > dimensions())
    throw EngineError(
        fmt::format("dimensions {}: the model's vectors have {}", options.dimensions, dimensions()));
  return perform(task, inputs, options);
}

std::unique_ptr<TextEncoder> open_text_encoder(runtime::Context& context,
                                               const models::Checkpoint& checkpoint,
                                               const models::Vocabulary& vocabulary,
                                               models::Precision precision) {
  if (models::is_encoder(checkpoint)) return open_encoder_engine(context, checkpoint, vocabulary, precision);
  if (std::ranges::count(models::decoder_architectures(), checkpoint.architecture()))
    return open_decoder_text_encoder(context, checkpoint, vocabulary, precision);
  throw EngineError(fmt::format(
      "{} is a model of the architecture '{}', which makes no vectors of texts; encoders are {}",
      checkpoint.name(), checkpoint.architecture(), fmt::join(models::encoder_architectures(), ", ")));
}

}  // namespace rose::engine
