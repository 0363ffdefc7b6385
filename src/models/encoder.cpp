// The table of encoder architectures.
#include "models/encoder.h"

#include "models/bert.h"
#include "models/distilbert.h"
#include "models/modernbert.h"
#include "models/roberta.h"

namespace rose::models {
namespace {

struct Row {
  const char* name;  // model_type of config.json
  EncoderConfig (*read)(const Checkpoint&);
  std::unique_ptr<Encoder> (*load)(runtime::Context&, const Checkpoint&, EncoderConfig, Precision);
};

constexpr Row kEncoders[] = {
    {"bert", read_bert, load_bert},
    {"distilbert", read_distilbert, load_distilbert},
    {"roberta", read_roberta, load_roberta},
    {"xlm-roberta", read_roberta, load_roberta},
    {"camembert", read_roberta, load_roberta},
    {"modernbert", read_modernbert, load_modernbert},
};

const Row* find_row(const Checkpoint& checkpoint) {
  for (const auto& row : kEncoders)
    if (checkpoint.architecture() == row.name) return &row;
  return nullptr;
}

const Row& row_of(const Checkpoint& checkpoint) {
  if (checkpoint.is_gguf())
    fail("{}: encoders are read from safetensors only", checkpoint.files().weights.string());
  if (const auto* row = find_row(checkpoint)) return *row;
  fail("{}: model_type: '{}' is no encoder that ROSE knows; it knows {}", checkpoint.files().config->string(),
       checkpoint.architecture(), fmt::join(encoder_architectures(), ", "));
}

}  // namespace

std::vector<float> Encoder::forward(const EncoderStep& step) {
  auto rows = run(step);
  std::vector<float> host(static_cast<size_t>(step.count() * config_.hidden));
  context_.stream().download(host.data(), rows, host.size() * sizeof(float));
  context_.stream().synchronize();
  return host;
}

std::vector<std::string> encoder_architectures() {
  std::vector<std::string> names;
  for (const auto& row : kEncoders) names.emplace_back(row.name);
  return names;
}

bool is_encoder(const Checkpoint& checkpoint) {
  return !checkpoint.is_gguf() && find_row(checkpoint) != nullptr;
}

EncoderConfig read_encoder_config(const Checkpoint& checkpoint) {
  return row_of(checkpoint).read(checkpoint);
}

std::unique_ptr<Encoder> load_encoder(runtime::Context& context, const Checkpoint& checkpoint,
                                      Precision precision) {
  const auto& row = row_of(checkpoint);
  return row.load(context, checkpoint, row.read(checkpoint), precision);
}

}  // namespace rose::models
