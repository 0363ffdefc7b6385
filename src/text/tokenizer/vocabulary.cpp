#include "text/tokenizer/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

#include "text/error.h"
#include "text/unicode/utf8.h"

namespace rose::text {
namespace {

constexpr TokenId kMaxId = 1 << 24;

// Tokens are kept as 32-bit offsets into the arena and ids of 24 bits.
void check(const std::string& arena, std::string_view token, TokenId id) {
  if (id >= kMaxId) throw TextError(fmt::format("vocabulary: token id {} is beyond the limit of 2^24", id));
  if (arena.size() + token.size() > 0xFFFFFFF0u || token.size() >= 1u << 31)
    throw TextError("vocabulary: more than 4 GiB of token text");
}

size_t slots_for(size_t tokens) { return std::bit_ceil(tokens + tokens / 2 + 16); }

}  // namespace

Vocabulary::Slot Vocabulary::slot_of(std::string_view token, uint64_t hash) {
  Slot slot;
  const size_t length = token.size();
  if (length > kInSlot) {
    slot.kind = kLong;
    slot.head = (hash & 0xFFFFFFFF00000000) | length;
    return slot;
  }
  slot.kind = static_cast<uint8_t>(length + 1);
  slot.head = load_up_to_8(token.data(), length);
  if (length > 8) slot.tail = static_cast<uint32_t>(load_up_to_8(token.data() + 8, length - 8));
  return slot;
}

bool Vocabulary::holds(const Slot& slot, const Slot& wanted, std::string_view token) const {
  if (slot.head != wanted.head || slot.kind != wanted.kind) return false;
  return slot.kind == kLong ? same_bytes(arena_.data() + slot.tail, token.data(), token.size())
                            : slot.tail == wanted.tail;
}

TokenId Vocabulary::find(std::string_view token, uint64_t hash) const {
  if (slots_.empty()) return kNoToken;
  const Slot wanted = slot_of(token, hash);
  const size_t mask = slots_.size() - 1;
  for (size_t at = hash & mask; slots_[at].kind != kFree; at = (at + 1) & mask)
    if (holds(slots_[at], wanted, token)) return slots_[at].id;
  return kNoToken;
}

// The text lies in the arena already.
void Vocabulary::insert(uint32_t begin, uint32_t length, TokenId id, uint64_t hash) {
  const std::string_view token(arena_.data() + begin, length);
  Slot slot = slot_of(token, hash);
  const size_t mask = slots_.size() - 1;
  size_t at = hash & mask;
  while (slots_[at].kind != kFree && !holds(slots_[at], slot, token)) at = (at + 1) & mask;
  if (slots_[at].kind == kFree) {
    count_++;
  } else if (TokenId before = slots_[at].id; this->token(before) == token) {
    spans_[before] = {};
  }
  if (slot.kind == kLong) slot.tail = begin;
  slot.id = id & (kMaxId - 1);
  slots_[at] = slot;
  spans_[id] = {begin, length, 1};
}

void Vocabulary::grow(size_t slots) {
  std::vector<Slot> old = std::move(slots_);
  slots_.assign(slots, Slot());
  for (const Slot& slot : old) {
    if (slot.kind == kFree) continue;
    std::string_view text = slot.kind == kLong
                                ? std::string_view(arena_.data() + slot.tail, slot.head & 0xFFFFFFFF)
                                : std::string_view(reinterpret_cast<const char*>(&slot), slot.kind - 1U);
    size_t at = hash_bytes(text) & (slots - 1);
    while (slots_[at].kind != kFree) at = (at + 1) & (slots - 1);
    slots_[at] = slot;
  }
}

void Vocabulary::add(std::string_view token, TokenId id) {
  check(arena_, token, id);
  if (count_ * 3 >= slots_.size() * 2) grow(std::max<size_t>(slots_.size() * 2, 64));
  if (id >= spans_.size()) spans_.resize(id + 1);
  auto begin = static_cast<uint32_t>(arena_.size());
  arena_.append(token);
  insert(begin, static_cast<uint32_t>(token.size()), id, hash_bytes(token));
}

void Vocabulary::Builder::reserve(size_t tokens, size_t bytes) {
  arena_.reserve(bytes);
  entries_.reserve(tokens);
}

void Vocabulary::Builder::add(std::string_view token, TokenId id) {
  check(arena_, token, id);
  entries_.push_back({static_cast<uint32_t>(arena_.size()), static_cast<uint32_t>(token.size()), id});
  arena_.append(token);
  id_limit_ = std::max<size_t>(id_limit_, id + size_t{1});
}

// Where no token begins with a continuation byte, a character that is valid in the arena lies within one
// token.
bool Vocabulary::Builder::is_valid_utf8() const {
  return unicode::is_valid(arena_) && std::ranges::none_of(entries_, [&](const Entry& entry) {
           return entry.length > 0 && unicode::is_continuation(arena_[entry.begin]);
         });
}

Vocabulary Vocabulary::Builder::build() {
  Vocabulary out;
  out.arena_ = std::move(arena_);
  out.spans_.resize(id_limit_);
  out.slots_.resize(slots_for(entries_.size()));
  constexpr size_t kAhead = 16;
  std::array<uint64_t, kAhead> hashes{};
  auto fetch = [&](size_t i) {
    if (i >= entries_.size()) return;
    const Entry& entry = entries_[i];
    hashes[i % kAhead] = hash_bytes({out.arena_.data() + entry.begin, entry.length});
    out.prefetch(hashes[i % kAhead]);
  };
  for (size_t i = 0; i < kAhead; i++) fetch(i);
  for (size_t i = 0; i < entries_.size(); i++) {
    const uint64_t hash = hashes[i % kAhead];
    fetch(i + kAhead);
    out.insert(entries_[i].begin, entries_[i].length, entries_[i].id, hash);
  }
  entries_.clear();
  id_limit_ = 0;
  return out;
}

}  // namespace rose::text
