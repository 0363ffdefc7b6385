#include "cli/floor.h"

#include <algorithm>

namespace rose::cli {
namespace {

double d(int64_t value) { return static_cast<double>(value); }

// Elements of the matrices that every token passes through; the output head apart.
double layer_elements(const models::DecoderConfig& c) {
  const double attention = d(c.hidden) * d(c.head_dim) * d(2 * c.q_heads + 2 * c.kv_heads);
  return d(c.layers) * (attention + 3 * d(c.hidden) * d(c.intermediate));
}

// Scores and weighted sums of one query with one key, all heads of one layer.
double pair_operations(const models::DecoderConfig& c) { return 4 * d(c.q_heads) * d(c.head_dim); }

int64_t seen(const models::DecoderConfig& c, int64_t layer, int64_t length) {
  return c.is_global(layer) ? length : std::min(length, c.window);
}

}  // namespace

double floor_seconds(const Work& work, const Ceilings& ceilings) {
  return std::max(work.bytes / ceilings.read, work.operations / ceilings.matrix);
}

const char* bound_of(const Work& work, const Ceilings& ceilings) {
  return work.bytes / ceilings.read >= work.operations / ceilings.matrix ? "memory" : "matrix";
}

double multiplied_elements(const models::DecoderConfig& c) {
  return layer_elements(c) + d(c.hidden) * d(c.vocab);
}

Work decode_work(const models::DecoderConfig& c, double weight_bytes, double cache_bytes_per_token,
                 int64_t batch, int64_t length) {
  Work work;
  double keys = 0;  // over all layers
  for (int64_t layer = 0; layer < c.layers; ++layer) keys += d(seen(c, layer, length));
  work.bytes = weight_bytes + d(batch) * keys * cache_bytes_per_token / d(c.layers);
  work.operations =
      d(batch) * (2 * layer_elements(c) + 2 * d(c.hidden) * d(c.vocab) + keys * pair_operations(c));
  return work;
}

Work prompt_work(const models::DecoderConfig& c, double weight_bytes, int64_t batch, int64_t prompt) {
  Work work;
  double pairs = 0;  // of query and key, over all layers
  for (int64_t layer = 0; layer < c.layers; ++layer) {
    const int64_t window = seen(c, layer, prompt);
    pairs += d(window) * d(window + 1) / 2 + d(prompt - window) * d(window);
  }
  work.bytes = weight_bytes;
  work.operations = d(batch) * (d(prompt) * 2 * layer_elements(c) + 2 * d(c.hidden) * d(c.vocab) +
                                pairs * pair_operations(c));
  return work;
}

Work encoder_work(const models::EncoderConfig& c, double weight_bytes, int64_t batch, int64_t tokens) {
  // A gated feed-forward part (ModernBERT) has three matrices; its up matrix holds two.
  const double matrices = c.positions > 0 ? 2 : 3;
  const double elements =
      d(c.layers) * (4 * d(c.hidden) * d(c.hidden) + matrices * d(c.hidden) * d(c.intermediate));
  double pairs = 0;
  for (int64_t layer = 0; layer < c.layers; ++layer)
    pairs += d(tokens) * d(c.is_local(layer) && c.window > 0 ? std::min(tokens, c.window + 1) : tokens);
  Work work;
  work.bytes = weight_bytes;
  work.operations = d(batch) * (d(tokens) * 2 * elements + pairs * 4 * d(c.hidden));
  return work;
}

}  // namespace rose::cli
