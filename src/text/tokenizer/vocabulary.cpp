#include "text/tokenizer/vocabulary.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "text/error.h"

namespace rose::text {
namespace {

constexpr TokenId kMaxId = 1 << 24;

uint64_t read_tail(const char* data, size_t length) {
  uint64_t value = 0;
  std::memcpy(&value, data, length);
  return value;
}

uint64_t mix(uint64_t a, uint64_t b) {
  __uint128_t product = static_cast<__uint128_t>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

}  // namespace

// Multiply-and-fold of eight bytes at a time; the constants are digits of the golden ratio and of pi.
uint64_t hash_bytes(std::string_view bytes) {
  constexpr uint64_t kA = 0x9E3779B97F4A7C15, kB = 0x243F6A8885A308D3;
  uint64_t hash = kB ^ bytes.size();
  const char* data = bytes.data();
  size_t left = bytes.size();
  for (; left > 8; left -= 8, data += 8) {
    uint64_t word;
    std::memcpy(&word, data, 8);
    hash = mix(hash ^ word, kA);
  }
  return mix(hash ^ read_tail(data, left), kA ^ kB);
}

void Vocabulary::reserve(size_t tokens, size_t bytes) {
  arena_.reserve(bytes);
  spans_.reserve(tokens);
  grow(std::bit_ceil(tokens + tokens / 2 + 16));
}

void Vocabulary::grow(size_t slots) {
  if (slots <= slots_.size()) return;
  std::vector<Slot> old = std::move(slots_);
  slots_.assign(slots, Slot());
  for (const Slot& slot : old) {
    if (slot.id == kNoToken) continue;
    uint64_t hash = hash_bytes({arena_.data() + slot.begin, slot.length});
    size_t at = hash & (slots - 1);
    while (slots_[at].id != kNoToken) at = (at + 1) & (slots - 1);
    slots_[at] = slot;
  }
}

void Vocabulary::check(std::string_view token, TokenId id) const {
  if (id >= kMaxId) throw TextError(fmt::format("vocabulary: token id {} is beyond the limit of 2^24", id));
  if (arena_.size() + token.size() > 0xFFFFFFF0u || token.size() >= 1u << 31)
    throw TextError("vocabulary: more than 4 GiB of token text");
}

void Vocabulary::set_text(TokenId id, std::string_view token) {
  check(token, id);
  if (id >= spans_.size()) spans_.resize(id + 1);
  spans_[id] = {static_cast<uint32_t>(arena_.size()), static_cast<uint32_t>(token.size()), 1};
  arena_.append(token);
}

void Vocabulary::add(std::string_view token, TokenId id) {
  check(token, id);
  if (count_ * 3 >= slots_.size() * 2) grow(std::max<size_t>(slots_.size() * 2, 64));

  auto begin = static_cast<uint32_t>(arena_.size());
  auto length = static_cast<uint32_t>(token.size());
  uint64_t hash = hash_bytes(token);
  auto tag = static_cast<uint32_t>(hash >> 32);
  size_t mask = slots_.size() - 1, at = hash & mask;
  while (slots_[at].id != kNoToken) {
    const Slot& slot = slots_[at];
    if (slot.tag == tag && std::string_view(arena_.data() + slot.begin, slot.length) == token) break;
    at = (at + 1) & mask;
  }
  if (slots_[at].id == kNoToken) {
    count_++;
    arena_.append(token);
    slots_[at] = {tag, id, begin, length};
  } else {
    begin = slots_[at].begin;
    spans_[slots_[at].id] = {};
    slots_[at].id = id;
  }
  if (id >= spans_.size()) spans_.resize(id + 1);
  spans_[id] = {begin, length, 1};
}

TokenId Vocabulary::find(std::string_view token) const {
  if (slots_.empty()) return kNoToken;
  uint64_t hash = hash_bytes(token);
  auto tag = static_cast<uint32_t>(hash >> 32);
  size_t mask = slots_.size() - 1;
  for (size_t at = hash & mask; slots_[at].id != kNoToken; at = (at + 1) & mask) {
    const Slot& slot = slots_[at];
    if (slot.tag == tag && slot.length == token.size() &&
        std::memcmp(arena_.data() + slot.begin, token.data(), token.size()) == 0)
      return slot.id;
  }
  return kNoToken;
}

}  // namespace rose::text
