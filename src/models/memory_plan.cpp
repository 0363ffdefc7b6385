#include "models/memory_plan.h"

#include <algorithm>
#include <limits>

#include "models/memory.h"

namespace rose::models {
namespace {

constexpr uint64_t kRowMultiple = 8;  // GPUs pad matrices to whole groups of so many rows

// On x86: code, stacks, tokenizer, and the compiler while it works.
constexpr uint64_t kProgramBytes = uint64_t{64} << 20;

uint64_t sum(uint64_t a, uint64_t b) {
  uint64_t result;
  return __builtin_add_overflow(a, b, &result) ? std::numeric_limits<uint64_t>::max() : result;
}

uint64_t product(uint64_t a, uint64_t b) {
  uint64_t result;
  return __builtin_mul_overflow(a, b, &result) ? std::numeric_limits<uint64_t>::max() : result;
}

double gb(uint64_t bytes) { return static_cast<double>(bytes) / 1e9; }

uint64_t weight_bytes(const Checkpoint& checkpoint, const Compute& compute, Precision precision) {
  uint64_t sum = 0;
  for (const auto& tensor : checkpoint.tensors()) {
    if (tensor.rank() < 2)
      sum += tensor.elements * sizeof(float);
    else if (compute.gpu)
      sum += (tensor.rows() + kRowMultiple - 1) / kRowMultiple * kRowMultiple * tensor.row_elements() *
             static_cast<uint64_t>(compute.bytes());
    else
      sum += precision == Precision::kBf16 ? tensor.elements * 2 : tensor.bytes.size();
  }
  return sum;
}

// Activations of the largest step (step_data.h) and its logits.
uint64_t workspace_bytes(const DecoderConfig& c, const Compute& compute, int64_t cache_tokens,
                         int64_t batch) {
  const int64_t one = std::min(compute.prompt_chunk, std::min(cache_tokens, c.context_length));
  const int64_t tokens = std::min(cache_tokens, compute.mixed_steps ? batch * one : std::max(batch, one));
  const int64_t row = 3 * c.hidden + (2 * c.q_heads + 2 * c.kv_heads) * c.head_dim + 3 * c.intermediate;
  return static_cast<uint64_t>(tokens * row * compute.bytes() +
                               batch * c.vocab * static_cast<int64_t>(sizeof(float))) +
         (compute.gpu ? 0 : kProgramBytes);
}

}  // namespace

uint64_t MemoryPlan::need() const { return sum(sum(weights, cache), workspace); }

int64_t MemoryPlan::most_tokens() const {
  const uint64_t rest = sum(weights, workspace);
  if (rest >= available || cache_bytes_per_token == 0) return 0;
  const auto tokens = static_cast<int64_t>((available - rest) / cache_bytes_per_token);
  return tokens / block_size * block_size;
}

std::string MemoryPlan::text() const {
  return fmt::format("{:.1f} GB of weights + {:.1f} GB of KV cache for {} tokens + {:.1f} GB of workspace",
                     gb(weights), gb(cache), cache_tokens, gb(workspace));
}

MemoryPlan plan_memory(const Compute& compute, const Checkpoint& checkpoint, const DecoderConfig& config,
                       Precision precision, int64_t cache_tokens, int64_t batch) {
  MemoryPlan plan;
  plan.block_size = compute.block_size;
  const int64_t most = std::numeric_limits<int64_t>::max() / 2;
  plan.cache_tokens =
      (std::min(cache_tokens, most) + plan.block_size - 1) / plan.block_size * plan.block_size;
  plan.cache_bytes_per_token = static_cast<uint64_t>(KvCache::bytes_per_token(config, compute));
  plan.weights = weight_bytes(checkpoint, compute, precision);
  plan.cache = product(plan.cache_bytes_per_token, static_cast<uint64_t>(plan.cache_tokens));
  plan.workspace = workspace_bytes(config, compute, plan.cache_tokens, batch);
  return plan;
}

MemoryPlan plan_memory(runtime::Context& context, const Checkpoint& checkpoint, const DecoderConfig& config,
                       Precision precision, int64_t cache_tokens, int64_t batch) {
  const Compute compute = compute_on(context.properties());
  auto plan = plan_memory(compute, checkpoint, config, precision, cache_tokens, batch);
  const auto use = context.device().memory_use();
  plan.total = use.total_bytes;
  if (compute.gpu) {
    plan.available =
        use.free_bytes + (use.pool_reserved_bytes - std::min(use.pool_used_bytes, use.pool_reserved_bytes));
    return plan;
  }
  const auto all = static_cast<int64_t>(context.properties().memory_bytes);
  plan.available = static_cast<uint64_t>(available_memory().value_or(all));
  return plan;
}

void expect_to_fit(runtime::Context& context, const Checkpoint& checkpoint, const MemoryPlan& plan) {
  if (plan.fits()) return;
  const bool gpu = compute_on(context.properties()).gpu;
  const std::string has =
      gpu ? fmt::format("cuda:{} {} has {:.1f} GB free of {:.1f} GB", context.properties().index,
                        context.properties().name, gb(plan.available), gb(plan.total))
          : fmt::format("this machine has {:.1f} GB free", gb(plan.available));
  const int64_t most = plan.most_tokens();
  const std::string way = most > 0 ? fmt::format("use --context {} or less", most)
                          : gpu    ? "free memory on the GPU (other processes count too), or use a smaller "
                                     "model or a GPU with more memory"
                                   : "free some, or use a smaller or more strongly quantised model";
  fail("{} needs {}, {:.1f} GB together; {}: {}", checkpoint.name(), plan.text(), gb(plan.need()), has, way);
}

}  // namespace rose::models
