#include "models/step_data.h"

#include <cstring>

namespace rose::models {

DeviceLists::DeviceLists(runtime::Context& context)
    : context_(context), sent_(context.device().create_event(false)) {}

DeviceLists::~DeviceLists() = default;

void DeviceLists::clear() {
  sent_->synchronize();
  bytes_.clear(), offsets_.clear();
}

size_t DeviceLists::append(std::span<const std::byte> bytes, size_t room) {
  size_t begin = (bytes_.size() + 63) / 64 * 64;  // kernels read lists in vectors
  offsets_.push_back(static_cast<int64_t>(begin));
  bytes_.resize(begin + std::max(bytes.size(), room));
  if (!bytes.empty()) std::memcpy(bytes_.data() + begin, bytes.data(), bytes.size());
  return offsets_.size() - 1;
}

void DeviceLists::send(runtime::Stream& stream) {
  if (host_.bytes() < bytes_.size()) {
    stream.synchronize();  // queued work may read the old memory
    size_t bytes = std::max<size_t>(2 * bytes_.size(), 1 << 16);
    host_ = {}, device_.reset();
    host_ = context_.device().allocate_host(bytes);
    device_ = context_.device().allocate(bytes);
  }
  std::memcpy(host_.data(), bytes_.data(), bytes_.size());
  stream.upload(device_, host_.data(), bytes_.size());
  stream.record(*sent_);
}

StepData::StepData(runtime::Context& c, const DecoderConfig& config)
    : context(c),
      stream(c.stream()),
      compute(compute_on(c.properties())),
      x(c),
      h(c),
      part(c),
      qkv(c),
      attended(c),
      gate_up(c),
      product(c),
      records(c),
      attention(c),
      chosen(c),
      plans{{Workspace(c)}, {Workspace(c)}},
      config_(config),
      lists_(c) {}

void StepData::load(const Step& step, std::span<const int32_t> rope_places,
                    std::span<const int32_t> several_tiles, std::span<const int32_t> single_tiles) {
  for (int32_t id : step.tokens)
    if (id < 0 || id >= config_.vocab)
      fail("the token {} is beyond the model's {} tokens", id, config_.vocab);
  tokens = step.count(), sequences = step.sequences(), table_width = step.table_width;
  longest = step.lengths.empty() ? 0 : *std::ranges::max_element(step.lengths);
  one_token_each = tokens == sequences;
  runs.clear();
  for (size_t i = 0; i + 1 < step.first_tokens.size(); ++i) {
    const int64_t first = step.first_tokens[i], count = step.first_tokens[i + 1] - first;
    if (count == 0) continue;
    if (runs.empty() || runs.back().prompt != (count > 1)) runs.push_back({first, 0, count > 1});
    runs.back().count += count;
  }
  several_count = static_cast<int64_t>(several_tiles.size() / 2),
  single_count = static_cast<int64_t>(single_tiles.size() / 2);
  plans[0].made = plans[1].made = false;
  host_ids = step.tokens, output = step.output;
  logit_count = static_cast<int64_t>(step.logit_rows.size());

  lists_.clear();
  size_t lists[] = {lists_.add(std::span(step.tokens)),
                    lists_.add(rope_places),
                    lists_.add(std::span(step.slots)),
                    lists_.add(std::span(step.first_tokens)),
                    lists_.add(std::span(step.lengths)),
                    lists_.add(std::span(step.block_table)),
                    lists_.add(std::span(step.logit_rows)),
                    lists_.add(several_tiles),
                    lists_.add(single_tiles)};
  lists_.send(stream);
  runtime::DevicePointer* pointers[] = {&ids,         &positions,  &slots,   &first_tokens, &lengths,
                                        &block_table, &logit_rows, &several, &single};
  for (size_t i = 0; i < std::size(lists); ++i) *pointers[i] = lists_.at(lists[i]);
}

runtime::DevicePointer StepData::zeroed(Workspace& workspace, int64_t bytes) {
  const bool grows = workspace.bytes() < bytes;
  auto at = workspace.at_least(bytes);
  if (grows) stream.fill(at, 0, static_cast<size_t>(bytes));
  return at;
}

std::vector<uint64_t> StepData::addresses() {
  std::vector<uint64_t> all{lists_.base().address};
  for (Workspace* w : {&x, &h, &part, &qkv, &attended, &gate_up, &product, &records, &attention, &chosen,
                       &plans[0].memory, &plans[1].memory})
    all.push_back(w->at_least(0).address);
  return all;
}

}  // namespace rose::models
