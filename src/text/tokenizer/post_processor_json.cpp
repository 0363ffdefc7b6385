// The post_processor section of a tokenizer.json.
#include <fmt/format.h>

#include "text/tokenizer/json_fields.h"
#include "text/tokenizer/parts_json.h"

namespace rose::text {
namespace {

using nlohmann::json;
using Item = PostProcessor::Item;
using Kind = Item::Kind;

// ["[CLS]", 101]
TokenId named_token(const JsonFields& fields, const char* field) {
  const auto& pair = fields.array(field);
  if (pair.size() != 2 || !pair[1].is_number_unsigned() || pair[1].get<uint64_t>() >= kNoToken)
    fields.fail(field, "must be a token and its id");
  return pair[1].get<TokenId>();
}

std::vector<Item> template_items(const JsonFields& fields, const char* field) {
  JsonFields special_tokens(fields.object("special_tokens"), "post_processor.special_tokens");
  std::vector<Item> items;
  for (const auto& element : fields.array(field)) {
    if (!element.is_object() || element.size() != 1)
      fields.fail(field, "must list Sequence and SpecialToken objects");
    const std::string& kind = element.begin().key();
    JsonFields piece(element.begin().value(), fmt::format("post_processor.{}", field));
    std::string id = piece.text("id");
    uint32_t type_id = piece.number_or("type_id", 0);
    if (kind == "Sequence") {
      if (id != "A" && id != "B") fields.fail(field, "may name the sequences A and B only");
      items.push_back({id == "A" ? Kind::kFirst : Kind::kSecond, type_id, {}});
    } else if (kind == "SpecialToken") {
      JsonFields token(special_tokens.object(id.c_str()), "post_processor.special_tokens." + id);
      Item item{Kind::kTokens, type_id, {}};
      for (const auto& number : token.array("ids")) {
        if (!number.is_number_unsigned() || number.get<uint64_t>() >= kNoToken)
          token.fail("ids", "must list token ids");
        item.tokens.push_back(number.get<TokenId>());
      }
      items.push_back(std::move(item));
    } else {
      fields.fail(field, fmt::format("has an unknown piece \"{}\"", kind));
    }
  }
  return items;
}

}  // namespace

PostProcessor post_processor_from_json(const json& section) {
  if (section.is_null()) return {};
  JsonFields fields(section, "post_processor");
  std::string type = fields.type();
  if (type == "ByteLevel") return {};  // changes offsets only, which ROSE does not keep
  if (type == "TemplateProcessing") return {template_items(fields, "single"), template_items(fields, "pair")};
  if (type == "BertProcessing" || type == "RobertaProcessing") {
    bool roberta = type == "RobertaProcessing";
    Item cls{Kind::kTokens, 0, {named_token(fields, "cls")}},
        sep{Kind::kTokens, 0, {named_token(fields, "sep")}};
    Item first{Kind::kFirst, 0, {}}, second{Kind::kSecond, roberta ? 0u : 1u, {}};
    Item last = sep;
    last.type_id = second.type_id;
    std::vector<Item> single{cls, first, sep}, pair = single;
    if (roberta) pair.push_back(sep);
    pair.insert(pair.end(), {second, last});
    return {single, pair};
  }
  if (type == "Sequence") {
    PostProcessor result;
    int templates = 0;
    for (const auto& part : fields.array("processors")) {
      if (is_byte_level(part)) continue;
      if (++templates > 1) fields.fail("processors", "may have one processor beside ByteLevel");
      result = post_processor_from_json(part);
    }
    return result;
  }
  fields.fail("type", fmt::format("\"{}\" is not a known post-processor", type));
}

}  // namespace rose::text
