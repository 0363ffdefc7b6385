// The table of encoder architectures.
#include "models/encoder.h"

#include "models/bert.h"

namespace rose::models {
namespace {

using Load = std::unique_ptr<Encoder> (*)(runtime::Context&, const Checkpoint&, Precision);

constexpr std::pair<const char*, Load> kEncoders[] = {{"bert", load_bert}};

}  // namespace

std::vector<std::string> encoder_architectures() {
  std::vector<std::string> names;
  for (const auto& [name, load] : kEncoders) names.emplace_back(name);
  return names;
}

std::unique_ptr<Encoder> load_encoder(runtime::Context& context, const Checkpoint& checkpoint,
                                      Precision precision) {
  for (const auto& [name, load] : kEncoders)
    if (checkpoint.architecture() == name) return load(context, checkpoint, precision);
  std::string names;
  for (const auto& name : encoder_architectures()) names += (names.empty() ? "" : ", ") + name;
  fail("{}: the architecture '{}' is no encoder that ROSE knows; it knows {}",
       checkpoint.files().weights.string(), checkpoint.architecture(), names);
}

}  // namespace rose::models
