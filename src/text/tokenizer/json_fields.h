// Typed access to the fields of a JSON section, with errors that say which field of which section is wrong.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace rose::text {

class JsonFields {
 public:
  /// `section` names the object in messages ("pre_tokenizer.Split"). Throws TextError if it is not an object.
  JsonFields(const nlohmann::json& object, std::string section);

  std::string type() const { return text("type"); }
  std::string text(const char* field) const;
  std::string text_or(const char* field, std::string fallback) const;
  bool flag_or(const char* field, bool fallback) const;
  std::optional<bool> optional_flag(const char* field) const;
  uint32_t number(const char* field) const;
  uint32_t number_or(const char* field, uint32_t fallback) const;
  /// A string of exactly one code point.
  char32_t character_or(const char* field, char32_t fallback) const;
  const nlohmann::json& array(const char* field) const;
  const nlohmann::json& object(const char* field) const;
  bool has(const char* field) const;
  [[noreturn]] void fail(const char* field, std::string_view what) const;

 private:
  const nlohmann::json& at(const char* field) const;
  const nlohmann::json& object_;
  std::string section_;
};

}  // namespace rose::text
