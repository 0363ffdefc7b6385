#include "text/tokenizer/json_fields.h"

#include <fmt/format.h>

#include "text/error.h"
#include "text/unicode/utf8.h"

namespace rose::text {

JsonFields::JsonFields(const nlohmann::json& object, std::string section)
    : object_(object), section_(std::move(section)) {
  if (!object.is_object()) throw TextError(fmt::format("tokenizer.json: {} must be an object", section_));
}

void JsonFields::fail(const char* field, std::string_view what) const {
  throw TextError(fmt::format("tokenizer.json: {}.{} {}", section_, field, what));
}

bool JsonFields::has(const char* field) const {
  auto found = object_.find(field);
  return found != object_.end() && !found->is_null();
}

const nlohmann::json& JsonFields::at(const char* field) const {
  auto found = object_.find(field);
  if (found == object_.end()) fail(field, "is missing");
  return *found;
}

std::string JsonFields::text(const char* field) const {
  const auto& value = at(field);
  if (!value.is_string()) fail(field, "must be a string");
  return value.get<std::string>();
}

std::string JsonFields::text_or(const char* field, std::string fallback) const {
  return has(field) ? text(field) : std::move(fallback);
}

std::optional<bool> JsonFields::optional_flag(const char* field) const {
  if (!has(field)) return std::nullopt;
  if (!at(field).is_boolean()) fail(field, "must be true or false");
  return at(field).get<bool>();
}

bool JsonFields::flag_or(const char* field, bool fallback) const {
  return optional_flag(field).value_or(fallback);
}

uint32_t JsonFields::number(const char* field) const {
  const auto& value = at(field);
  if (!value.is_number_unsigned() || value.get<uint64_t>() > 0xFFFFFFFF)
    fail(field, "must be a number from 0 to 2^32 - 1");
  return value.get<uint32_t>();
}

uint32_t JsonFields::number_or(const char* field, uint32_t fallback) const {
  return has(field) ? number(field) : fallback;
}

char32_t JsonFields::character_or(const char* field, char32_t fallback) const {
  if (!has(field)) return fallback;
  std::string value = text(field);
  if (value.empty() || unicode::sequence_length(value[0]) != value.size())
    fail(field, "must be one character");
  return unicode::decode(value, 0).point;
}

const nlohmann::json& JsonFields::array(const char* field) const {
  if (!at(field).is_array()) fail(field, "must be a list");
  return at(field);
}

const nlohmann::json& JsonFields::object(const char* field) const {
  if (!at(field).is_object()) fail(field, "must be an object");
  return at(field);
}

}  // namespace rose::text
