// json.dumps for the tojson filter.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "text/jinja/interpreter.h"
#include "text/unicode/utf8.h"

namespace rose::text::jinja {
namespace {

class Writer {
 public:
  Writer(Interpreter& run, const JsonStyle& style) : run_(run), style_(style) {}

  void write(const Value& value, int depth) {
    using Kind = Value::Kind;
    run_.spend(1);
    switch (value.kind()) {
      case Kind::kNone:
        return put("null");
      case Kind::kBool:
        return put(value.as_integer() ? "true" : "false");
      case Kind::kInt:
        return put(fmt::format("{}", value.as_integer()));
      case Kind::kFloat:
        return put(number(value.as_real()));
      case Kind::kString:
        return quote(value.as_string());
      case Kind::kList:
      case Kind::kTuple:
        if (value.items().empty()) return put("[]");
        put("[");
        for (size_t i = 0; i < value.items().size(); i++) {
          if (i > 0) put(style_.item_separator);
          new_line(depth + 1);
          write(value.items()[i], depth + 1);
        }
        new_line(depth);
        return put("]");
      case Kind::kDict:
        return dict(value.as_dict(), depth);
      default:
        run_.fail(fmt::format("Object of type {} is not JSON serializable", value.type_name()));
    }
  }
  std::string take() { return std::move(out_); }

 private:
  void put(std::string_view text) {
    run_.charge(text.size());
    out_ += text;
  }
  void new_line(int depth) {
    if (style_.indent >= 0)
      put("\n" + std::string(static_cast<size_t>(style_.indent) * static_cast<size_t>(depth), ' '));
  }
  static std::string number(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
    return float_text(value);
  }

  void dict(const Dict& items, int depth) {
    if (items.size() == 0) return put("{}");
    std::vector<const Dict::Entry*> entries;
    for (const auto& entry : items.entries()) entries.push_back(&entry);
    if (style_.sort_keys)
      std::stable_sort(entries.begin(), entries.end(),
                       [&](auto* a, auto* b) { return run_.less(a->first, b->first); });
    put("{");
    for (size_t i = 0; i < entries.size(); i++) {
      if (i > 0) put(style_.item_separator);
      new_line(depth + 1);
      quote(key_text(entries[i]->first));
      put(style_.key_separator);
      write(entries[i]->second, depth + 1);
    }
    new_line(depth);
    put("}");
  }

  std::string key_text(const Value& key) {
    using Kind = Value::Kind;
    switch (key.kind()) {
      case Kind::kString:
        return key.as_string();
      case Kind::kNone:
        return "null";
      case Kind::kBool:
        return key.as_integer() ? "true" : "false";
      case Kind::kInt:
        return fmt::format("{}", key.as_integer());
      case Kind::kFloat:
        return number(key.as_real());
      default:
        run_.fail("keys of a JSON object must be str, int, float, bool or None");
    }
  }

  void quote(const std::string& text) {
    std::string out = "\"";
    for (size_t at = 0; at < text.size();) {
      auto [point, next] = unicode::decode(text, at);
      switch (point) {
        case '"':
          out += "\\\"";
          break;
        case '\\':
          out += "\\\\";
          break;
        case '\n':
          out += "\\n";
          break;
        case '\r':
          out += "\\r";
          break;
        case '\t':
          out += "\\t";
          break;
        case '\b':
          out += "\\b";
          break;
        case '\f':
          out += "\\f";
          break;
        default:
          if (point < 0x20 || (style_.ascii_only && point >= 0x7F && point < 0x10000 && point != 0x7F))
            out += fmt::format("\\u{:04x}", uint32_t{point});
          else if (style_.ascii_only && point >= 0x10000)
            out += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + ((point - 0x10000) >> 10),
                               0xDC00 + ((point - 0x10000) & 0x3FF));
          else
            out.append(text, at, next - at);
      }
      at = next;
    }
    out.push_back('"');
    put(out);
  }

  Interpreter& run_;
  const JsonStyle& style_;
  std::string out_;
};

}  // namespace

std::string to_json(Interpreter& interpreter, const Value& value, const JsonStyle& style) {
  Writer writer(interpreter, style);
  writer.write(value, 0);
  return writer.take();
}

}  // namespace rose::text::jinja
