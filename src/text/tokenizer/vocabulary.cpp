#include "text/tokenizer/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

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

// The text lies in the arena already.
void Vocabulary::insert(uint32_t begin, uint32_t length, TokenId id, const TextKey& key) {
  const std::string_view token(arena_.data() + begin, length);
  const size_t mask = slots_.size() - 1;
  size_t at = key.hash & mask;
  while (slots_[at].kind != kFree && !holds(slots_[at], token, key)) at = (at + 1) & mask;
  Slot& slot = slots_[at];
  if (slot.kind == kFree) {
    count_++;
  } else if (TokenId before = slot.id; this->token(before) == token) {
    spans_[before] = {};
  }
  slot.head = key.head;
  slot.tail = key.is_long() ? begin : key.tail;
  slot.kind = key.kind;
  slot.id = id & (kMaxId - 1);
  spans_[id] = {begin, length, 1};
}

void Vocabulary::grow(size_t slots) {
  const ZeroTable<Slot> old = std::exchange(slots_, ZeroTable<Slot>(slots));
  for (const Slot& slot : old) {
    if (slot.kind == kFree) continue;
    std::string_view text = slot.kind == TextKey::kLong
                                ? std::string_view(arena_.data() + slot.tail, slot.head & 0xFFFFFFFF)
                                : std::string_view(reinterpret_cast<const char*>(&slot), slot.kind - 1U);
    size_t at = TextKey::of(text).hash & (slots - 1);
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
  insert(begin, static_cast<uint32_t>(token.size()), id, TextKey::of(token));
}

void Vocabulary::Builder::reserve(size_t tokens, size_t bytes) {
  arena_.reserve(bytes);
  entries_.reserve(tokens);
}

void Vocabulary::Builder::add(std::string_view token, TokenId id, size_t readable) {
  check(arena_, token, id);
  const size_t begin = arena_.size();
  entries_.push_back({static_cast<uint32_t>(begin), static_cast<uint32_t>(token.size()), id});
  if (readable >= 16 && token.size() <= 16) {  // a copy of one length for all
    const char* bytes = token.data();
    arena_.append(bytes, 16);
    arena_.resize(begin + token.size());
  } else {
    arena_.append(token);
  }
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
  out.slots_ = ZeroTable<Slot>(slots_for(entries_.size()));
  constexpr size_t kAhead = 16;
  std::array<TextKey, kAhead> keys;
  auto fetch = [&](size_t i) {
    if (i >= entries_.size()) return;
    const std::string_view token(out.arena_.data() + entries_[i].begin, entries_[i].length);
    keys[i % kAhead] = TextKey::of(token, out.readable(token));
    out.prefetch(keys[i % kAhead]);
  };
  for (size_t i = 0; i < kAhead; i++) fetch(i);
  for (size_t i = 0; i < entries_.size(); i++) {
    const TextKey key = keys[i % kAhead];
    fetch(i + kAhead);
    out.insert(entries_[i].begin, entries_[i].length, entries_[i].id, key);
  }
  entries_.clear();
  id_limit_ = 0;
  return out;
}

}  // namespace rose::text
