#include "text/jinja/chat_template.h"

#include <fmt/format.h>

#include "text/jinja/parser.h"
#include "text/unicode/utf8.h"

namespace rose::text {
namespace {

using jinja::Value;

std::string valid(const std::string& text) {
  return unicode::is_valid(text) ? text : unicode::replace_invalid(text);
}

Value value_of(const nlohmann::ordered_json& json, int depth) {
  if (depth > 150) throw TextError("chat template: the variables are nested more than 150 deep");
  switch (json.type()) {
    case nlohmann::ordered_json::value_t::boolean:
      return Value::boolean(json.get<bool>());
    case nlohmann::ordered_json::value_t::number_integer:
      return Value::integer(json.get<int64_t>());
    case nlohmann::ordered_json::value_t::number_unsigned: {
      auto number = json.get<uint64_t>();
      if (number > INT64_MAX)
        throw TextError(fmt::format("chat template: the number {} is too large", number));
      return Value::integer(static_cast<int64_t>(number));
    }
    case nlohmann::ordered_json::value_t::number_float:
      return Value::real(json.get<double>());
    case nlohmann::ordered_json::value_t::string:
      return Value::string(valid(json.get_ref<const std::string&>()));
    case nlohmann::ordered_json::value_t::array: {
      jinja::List items;
      for (const auto& item : json) items.push_back(value_of(item, depth + 1));
      return Value::list(std::move(items));
    }
    case nlohmann::ordered_json::value_t::object: {
      jinja::Dict items;
      for (const auto& [key, item] : json.items()) items.set(valid(key), value_of(item, depth + 1));
      return Value::dict(std::move(items));
    }
    default:
      return Value::none();
  }
}

}  // namespace

ChatTemplate::ChatTemplate(std::string_view source, jinja::Limits limits)
    : body_(jinja::parse_template(unicode::is_valid(source) ? std::string(source)
                                                            : unicode::replace_invalid(source))),
      limits_(limits) {}

std::string ChatTemplate::render(const nlohmann::ordered_json& variables,
                                 std::optional<std::time_t> now) const {
  if (!variables.is_object()) throw TextError("chat template: the variables must be an object");
  jinja::Interpreter interpreter(limits_, now.value_or(std::time(nullptr)));
  Value values = value_of(variables, 0);
  return interpreter.render(body_, values.as_dict());
}

}  // namespace rose::text
