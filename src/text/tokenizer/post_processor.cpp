#include "text/tokenizer/post_processor.h"

namespace rose::text {

PostProcessor::PostProcessor()
    : single_{{Item::Kind::kFirst, 0, {}}},
      pair_{{Item::Kind::kFirst, 0, {}}, {Item::Kind::kSecond, 1, {}}} {}

size_t PostProcessor::added(bool is_pair) const {
  size_t count = 0;
  for (const auto& item : is_pair ? pair_ : single_) count += item.tokens.size();
  return count;
}

Encoding PostProcessor::apply(const std::vector<TokenId>& first, const std::vector<TokenId>* second,
                              bool add_special_tokens) const {
  Encoding out;
  auto append = [&](const std::vector<TokenId>& ids, uint32_t type_id) {
    out.ids.insert(out.ids.end(), ids.begin(), ids.end());
    out.type_ids.insert(out.type_ids.end(), ids.size(), type_id);
  };
  for (const auto& item : second ? pair_ : single_) {
    if (item.kind == Item::Kind::kFirst) append(first, item.type_id);
    if (item.kind == Item::Kind::kSecond && second) append(*second, item.type_id);
    if (item.kind == Item::Kind::kTokens && add_special_tokens) append(item.tokens, item.type_id);
  }
  return out;
}

}  // namespace rose::text
