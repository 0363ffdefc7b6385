// The table of encoder architectures.
#include "models/encoder.h"

#include <bit>
#include <optional>

#include "models/bert.h"
#include "models/distilbert.h"
#include "models/modernbert.h"
#include "models/preparations.h"
#include "models/roberta.h"
#include "models/weight_loader.h"

namespace rose::models {
namespace {

struct Row {
  const char* name;  // model_type of config.json
  EncoderConfig (*read)(const Checkpoint&);
  std::unique_ptr<Encoder> (*make)(const Build&, EncoderConfig);
};

constexpr Row kEncoders[] = {
    {"bert", read_bert, make_bert},
    {"distilbert", read_distilbert, make_distilbert},
    {"roberta", read_roberta, make_roberta},
    {"xlm-roberta", read_roberta, make_roberta},
    {"camembert", read_roberta, make_roberta},
    {"modernbert", read_modernbert, make_modernbert},
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
  const auto rows = run(step);
  const auto type = compute_on(context_.properties()).dtype;
  std::vector<float> host(static_cast<size_t>(step.count() * config_.hidden));
  if (type == ir::f32) {
    context_.stream().download(host.data(), rows, host.size() * sizeof(float));
    context_.stream().synchronize();
    return host;
  }
  std::vector<uint16_t> halves(host.size());  // bf16
  context_.stream().download(halves.data(), rows, halves.size() * sizeof(uint16_t));
  context_.stream().synchronize();
  for (size_t i = 0; i < host.size(); ++i) host[i] = std::bit_cast<float>(uint32_t{halves[i]} << 16);
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
  auto config = row.read(checkpoint);
  std::optional<WeightLoader> loader;
  if (compute_on(context.properties()).gpu) loader.emplace(context, checkpoint);
  Build build(context, checkpoint, precision, loader ? &*loader : nullptr);
  Preparations preparations;
  if (build.compute.gpu) build.preparations = &preparations;
  auto encoder = row.make(build, std::move(config));
  if (loader) loader->finish();
  preparations.finish();
  return encoder;
}

}  // namespace rose::models
