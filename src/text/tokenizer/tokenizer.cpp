#include "text/tokenizer/tokenizer.h"

#include <algorithm>

#include "text/tokenizer/byte_level.h"
#include "text/unicode/utf8.h"

namespace rose::text {

/// Borrows a scratch space for one call.
class Tokenizer::Lease {
 public:
  explicit Lease(const Tokenizer& owner) : owner_(owner) {
    std::lock_guard lock(owner.mutex_);
    if (owner.idle_.empty()) {
      scratch_ = owner.parts_.model->make_scratch();
    } else {
      scratch_ = std::move(owner.idle_.back());
      owner.idle_.pop_back();
    }
  }
  ~Lease() {
    std::lock_guard lock(owner_.mutex_);
    owner_.idle_.push_back(std::move(scratch_));
  }
  Scratch& scratch() { return *scratch_; }

 private:
  const Tokenizer& owner_;
  std::unique_ptr<Scratch> scratch_;
};

Tokenizer::Tokenizer(TokenizerParts parts)
    : parts_(std::move(parts)), added_(std::move(parts_.added_tokens), parts_.normalizer.get()) {
  if (!parts_.decoder) parts_.decoder = make_space_joining_decoder();
  const Vocabulary& vocabulary = parts_.model->vocabulary();
  id_limit_ = vocabulary.id_limit();
  for (const auto& token : added_.all()) id_limit_ = std::max<size_t>(id_limit_, token.id + size_t{1});
  idle_.reserve(16);
}

Tokenizer::~Tokenizer() = default;

void Tokenizer::encode_segment(std::string_view text, bool first, Scratch& scratch,
                               std::vector<TokenId>& ids) const {
  if (!parts_.pre_tokenizer) return parts_.model->encode(text, scratch, ids);
  Pieces pieces{std::string(text), {{0, text.size(), first}}};
  parts_.pre_tokenizer->apply(pieces);
  for (const auto& piece : pieces.pieces)
    parts_.model->encode(std::string_view(pieces.text).substr(piece.begin, piece.end - piece.begin), scratch,
                         ids);
}

void Tokenizer::encode_plain(std::string_view text, const EncodeOptions& options,
                             std::vector<TokenId>& ids) const {
  std::string repaired;
  if (!unicode::is_valid(text)) text = repaired = unicode::replace_invalid(text);
  Lease lease(*this);
  ids.reserve(ids.size() + text.size() / 3 + 4);
  std::vector<Segment> outer, inner;
  added_.split(text, false, options.parse_special_tokens, outer);
  std::string normalized;
  for (const Segment& segment : outer) {
    if (segment.id != kNoToken) {
      ids.push_back(segment.id);
      continue;
    }
    std::string_view part = text.substr(segment.begin, segment.end - segment.begin);
    if (parts_.normalizer) {
      normalized = part;
      parts_.normalizer->apply(normalized);
      part = normalized;
    }
    inner.clear();
    added_.split(part, true, options.parse_special_tokens, inner);
    for (const Segment& piece : inner) {
      if (piece.id != kNoToken)
        ids.push_back(piece.id);
      else
        encode_segment(part.substr(piece.begin, piece.end - piece.begin),
                       segment.begin == 0 && piece.begin == 0, lease.scratch(), ids);
    }
  }
}

std::vector<TokenId> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  return encode_single(text, options).ids;
}

Encoding Tokenizer::encode_single(std::string_view text, const EncodeOptions& options) const {
  std::vector<TokenId> ids;
  encode_plain(text, options, ids);
  if (options.max_length) {
    size_t reserved = options.add_special_tokens ? parts_.post_processor.added(false) : 0;
    size_t room = *options.max_length > reserved ? *options.max_length - reserved : 0;
    if (ids.size() > room) ids.resize(room);
  }
  return parts_.post_processor.apply(ids, nullptr, options.add_special_tokens);
}

Encoding Tokenizer::encode_pair(std::string_view first, std::string_view second,
                                const EncodeOptions& options) const {
  std::vector<TokenId> a, b;
  encode_plain(first, options, a);
  encode_plain(second, options, b);
  if (options.max_length) {
    size_t reserved = options.add_special_tokens ? parts_.post_processor.added(true) : 0;
    size_t room = *options.max_length > reserved ? *options.max_length - reserved : 0;
    if (a.size() + b.size() > room) {
      // The shorter text stays whole while it fits in half the room; then both get half.
      size_t shorter = std::min(a.size(), b.size());
      size_t longer = shorter > room ? shorter : std::max(shorter, room - shorter);
      if (shorter + longer > room) shorter = room / 2, longer = shorter + room % 2;
      bool a_is_longer = a.size() > b.size();
      a.resize(std::min(a.size(), a_is_longer ? longer : shorter));
      b.resize(std::min(b.size(), a_is_longer ? shorter : longer));
    }
  }
  return parts_.post_processor.apply(a, &b, options.add_special_tokens);
}

std::string Tokenizer::decode(std::span<const TokenId> ids, bool skip_special_tokens) const {
  if (parts_.decodes_bytes) {
    std::string bytes;
    for (TokenId id : ids)
      if (!skip_special_tokens || !added_.is_special(id)) append_bytes(id, bytes);
    return unicode::is_valid(bytes) ? bytes : unicode::replace_invalid(bytes);
  }
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (TokenId id : ids) {
    const AddedToken* added = added_.find(id);
    if (added ? skip_special_tokens && added->special : !parts_.model->vocabulary().has(id)) continue;
    tokens.emplace_back(added ? std::string_view(added_.normalized_form(*added))
                              : parts_.model->vocabulary().token(id));
  }
  if (tokens.empty()) return {};
  parts_.decoder->apply(tokens);
  std::string text;
  for (const auto& token : tokens) text += token;
  return text;
}

// Of a byte-level token; one with a character that stands for no byte is its own text.
void Tokenizer::append_bytes(TokenId id, std::string& out) const {
  const AddedToken* added = added_.find(id);
  std::string_view token =
      added ? std::string_view(added_.normalized_form(*added)) : parts_.model->vocabulary().token(id);
  if (!append_bytes_of_chars(token, out)) out += token;
}

std::optional<std::string> Tokenizer::token_bytes(TokenId id) const {
  if (!parts_.decodes_bytes) return std::nullopt;
  std::string bytes;
  append_bytes(id, bytes);
  return bytes;
}

std::string_view Tokenizer::id_to_token(TokenId id) const {
  if (const AddedToken* added = added_.find(id)) return added->content;
  return parts_.model->vocabulary().token(id);
}

std::optional<TokenId> Tokenizer::token_to_id(std::string_view token) const {
  TokenId id = added_.find(token);
  if (id == kNoToken) id = parts_.model->vocabulary().find(token);
  return id == kNoToken ? std::nullopt : std::optional(id);
}

}  // namespace rose::text
