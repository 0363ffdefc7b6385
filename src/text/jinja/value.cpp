#include "text/jinja/value.h"

#include <fmt/format.h>

#include <algorithm>

#include <charconv>
#include <cmath>

#include "text/error.h"
#include "text/jinja/objects.h"
#include "text/unicode/properties.h"
#include "text/unicode/utf8.h"

namespace rose::text::jinja {
namespace {

constexpr int kMaxDepth = 200;
constexpr size_t kMaxKey = 1 << 20;  // bytes of a tuple as a key

uint16_t nested(int deepest) {
  if (deepest + 1 > kMaxDepth)
    throw TextError("chat template: lists and dictionaries are nested more than 200 deep");
  return static_cast<uint16_t>(deepest + 1);
}

uint16_t depth_of(const List& items) {
  int deepest = 0;
  for (const auto& item : items) deepest = std::max(deepest, item.depth());
  return nested(deepest);
}

// Equal keys have equal texts: 1, 1.0 and True are one key, "1" is another.
std::string hash_text(const Value& key) {
  switch (key.kind()) {
    case Value::Kind::kString:
      return "s" + key.as_string();
    case Value::Kind::kNone:
      return "none";
    case Value::Kind::kUndefined:
      return "undefined";  // jinja2's are all equal
    case Value::Kind::kBool:
    case Value::Kind::kInt:
      return fmt::format("n{}", key.as_integer());
    case Value::Kind::kFloat: {
      double value = key.as_real();
      bool whole = std::abs(value) < 9e15 && value == std::floor(value);
      return whole ? fmt::format("n{}", static_cast<int64_t>(value)) : fmt::format("f{}", value);
    }
    case Value::Kind::kTuple: {
      std::string text = "t";
      for (const auto& item : key.items()) {
        std::string part = hash_text(item);
        text += fmt::format("{}:{}", part.size(), part);
        if (text.size() > kMaxKey) throw TextError("chat template: the key of a dictionary is too large");
      }
      return text;
    }
    case Value::Kind::kObject:
      return fmt::format("o{}", static_cast<const void*>(key.as_object()));
    default:
      throw TextError(fmt::format("chat template: unhashable type: '{}'", key.type_name()));
  }
}

}  // namespace

Value Value::undefined(std::string what) {
  Value value;
  value.text_ = std::make_shared<const std::string>(std::move(what));
  return value;
}

Value Value::boolean(bool boolean) {
  Value value(Kind::kBool);
  value.number_.integer = boolean;
  return value;
}

Value Value::integer(int64_t integer) {
  Value value(Kind::kInt);
  value.number_.integer = integer;
  return value;
}

Value Value::real(double real) {
  Value value(Kind::kFloat);
  value.number_.real = real;
  return value;
}

Value Value::string(std::string text) {
  Value value(Kind::kString);
  value.text_ = std::make_shared<const std::string>(std::move(text));
  return value;
}

Value Value::list(List items) {
  Value value(Kind::kList);
  value.depth_ = depth_of(items);
  value.list_ = std::make_shared<const List>(std::move(items));
  return value;
}

Value Value::tuple(List items) {
  Value value = list(std::move(items));
  value.kind_ = Kind::kTuple;
  return value;
}

Value Value::dict(Dict items) {
  Value value(Kind::kDict);
  int deepest = 0;
  for (const auto& [key, item] : items.entries()) deepest = std::max({deepest, key.depth(), item.depth()});
  value.depth_ = nested(deepest);
  value.dict_ = std::make_shared<const Dict>(std::move(items));
  return value;
}

Value Value::object(Object* object) {
  Value value(Kind::kObject);
  value.object_ = object;
  return value;
}

bool Value::truth() const {
  switch (kind_) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
    case Kind::kInt:
      return number_.integer != 0;
    case Kind::kFloat:
      return number_.real != 0;
    case Kind::kString:
      return !text_->empty();
    case Kind::kList:
    case Kind::kTuple:
      return !list_->empty();
    case Kind::kDict:
      return dict_->size() > 0;
    case Kind::kObject:
      return true;
  }
  return false;
}

const char* Value::type_name() const {
  switch (kind_) {
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kString:
      return "str";
    case Kind::kList:
      return "list";
    case Kind::kTuple:
      return "tuple";
    case Kind::kDict:
      return "dict";
    case Kind::kObject:
      return object_->type_name();
  }
  return "";
}

void Dict::set(const Value& key, Value value) {
  auto [it, fresh] = index_.try_emplace(hash_text(key), entries_.size());
  if (fresh)
    entries_.emplace_back(key, std::move(value));
  else
    entries_[it->second].second = std::move(value);
}

const Value* Dict::find(const Value& key) const {
  auto found = index_.find(hash_text(key));
  return found == index_.end() ? nullptr : &entries_[found->second].second;
}

const Value* Dict::find(std::string_view key) const {
  auto found = index_.find("s" + std::string(key));
  return found == index_.end() ? nullptr : &entries_[found->second].second;
}

void Effort::spend(size_t count) {
  if (count > left) throw TextError("chat template: comparing these values takes too many steps");
  left -= count;
}

bool equal(const Value& a, const Value& b, Effort& effort) {
  using Kind = Value::Kind;
  effort.spend(1);
  if (a.is_integral() && b.is_integral()) return a.as_integer() == b.as_integer();
  if (a.is_number() && b.is_number()) return a.as_real() == b.as_real();
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kString:
      if (a.as_string().size() != b.as_string().size()) return false;
      effort.spend(a.as_string().size() / 64);
      return a.as_string() == b.as_string();
    case Kind::kList:
    case Kind::kTuple:
      return a.items().size() == b.items().size() &&
             std::equal(a.items().begin(), a.items().end(), b.items().begin(),
                        [&](const Value& x, const Value& y) { return equal(x, y, effort); });
    case Kind::kDict: {
      if (a.as_dict().size() != b.as_dict().size()) return false;
      for (const auto& [key, value] : a.as_dict().entries()) {
        const Value* other = b.as_dict().find(key);
        if (!other || !equal(value, *other, effort)) return false;
      }
      return true;
    }
    case Kind::kObject:
      return a.as_object() == b.as_object();
    default:
      return true;  // undefined, none
  }
}

bool less(const Value& a, const Value& b, Effort& effort) {
  effort.spend(1);
  if (a.is_integral() && b.is_integral()) return a.as_integer() < b.as_integer();
  if (a.is_number() && b.is_number()) return a.as_real() < b.as_real();
  if (a.is_string() && b.is_string()) {
    effort.spend(std::min(a.as_string().size(), b.as_string().size()) / 64);
    return a.as_string() < b.as_string();  // UTF-8 sorts by code point
  }
  if (a.is_sequence() && a.kind() == b.kind()) {
    for (size_t i = 0; i < a.items().size() && i < b.items().size(); i++)
      if (!equal(a.items()[i], b.items()[i], effort)) return less(a.items()[i], b.items()[i], effort);
    return a.items().size() < b.items().size();
  }
  throw TextError(fmt::format("chat template: '<' not supported between instances of '{}' and '{}'",
                              a.type_name(), b.type_name()));
}

std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[64];
  auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  std::string_view text(buffer, static_cast<size_t>(end - buffer));
  std::string sign;
  if (text.starts_with('-')) sign = "-", text.remove_prefix(1);
  size_t e = text.find('e');
  int exponent = 0;
  std::string_view power = text.substr(e + 1);
  if (power.starts_with('+')) power.remove_prefix(1);
  std::from_chars(power.data(), power.data() + power.size(), exponent);
  std::string digits;
  for (char c : text.substr(0, e))
    if (c != '.') digits.push_back(c);
  int count = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    if (count > 1) digits.insert(1, ".");
    return fmt::format("{}{}e{}{:02}", sign, digits, exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (exponent < 0) return sign + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  if (count <= exponent + 1)
    return sign + digits + std::string(static_cast<size_t>(exponent + 1 - count), '0') + ".0";
  return sign + digits.insert(static_cast<size_t>(exponent + 1), ".");
}

namespace {

// Python shows a character as it is if it is printable, else escaped.
bool is_printable(char32_t point) {
  if (point < 0x7F) return point >= ' ';
  std::string_view category = unicode::kCategoryNames[unicode::category(point)];
  return category[0] != 'C' && category[0] != 'Z';
}

class Writer {
 public:
  explicit Writer(size_t limit) : limit_(limit) {}

  void write(const Value& value) {
    using Kind = Value::Kind;
    switch (value.kind()) {
      case Kind::kUndefined:
        return put("Undefined");
      case Kind::kNone:
        return put("None");
      case Kind::kBool:
        return put(value.as_integer() ? "True" : "False");
      case Kind::kInt:
        return put(fmt::format("{}", value.as_integer()));
      case Kind::kFloat:
        return put(float_text(value.as_real()));
      case Kind::kString:
        return quote(value.as_string());
      case Kind::kList:
        return sequence(value.items(), "[", "]");
      case Kind::kTuple:
        return sequence(value.items(), "(", value.items().size() == 1 ? ",)" : ")");
      case Kind::kDict:
        return dict(value.as_dict());
      case Kind::kObject:
        return put(fmt::format("<{}>", value.type_name()));
    }
  }
  std::string take() { return std::move(out_); }

 private:
  void put(std::string_view text) {
    if (out_.size() + text.size() > limit_)
      throw TextError("chat template: a text is larger than the limit allows");
    out_ += text;
  }
  void object(const Object& object) {
    // A namespace may hold itself.
    auto* space = dynamic_cast<const Namespace*>(&object);
    if (auto* macro = dynamic_cast<const Macro*>(&object))
      return put(fmt::format("<Macro '{}'>", macro->name));
    if (!space) return put(fmt::format("<{}>", object.type_name()));
    if (++depth_ > 100) throw TextError("chat template: a namespace holds itself too often to be written");
    put("<Namespace ");
    dict(space->attributes);
    put(">");
    depth_--;
  }
  void sequence(const List& items, std::string_view open, std::string_view close) {
    put(open);
    for (size_t i = 0; i < items.size(); i++) {
      if (i > 0) put(", ");
      write(items[i]);
    }
    put(close);
  }
  void dict(const Dict& items) {
    put("{");
    bool first = true;
    for (const auto& [key, value] : items.entries()) {
      if (!first) put(", ");
      first = false;
      write(key);
      put(": ");
      write(value);
    }
    put("}");
  }
  void quote(const std::string& text) {
    char mark = text.find('\'') != std::string::npos && text.find('"') == std::string::npos ? '"' : '\'';
    std::string quoted(1, mark);
    for (size_t at = 0; at < text.size();) {
      auto [point, next] = unicode::decode(text, at);
      if (point == static_cast<unsigned char>(mark) || point == '\\')
        quoted += {'\\', static_cast<char>(point)};
      else if (point == '\n')
        quoted += "\\n";
      else if (point == '\r')
        quoted += "\\r";
      else if (point == '\t')
        quoted += "\\t";
      else if (is_printable(point))
        quoted.append(text, at, next - at);
      else
        quoted += point < 0x100     ? fmt::format("\\x{:02x}", uint32_t{point})
                  : point < 0x10000 ? fmt::format("\\u{:04x}", uint32_t{point})
                                    : fmt::format("\\U{:08x}", uint32_t{point});
      at = next;
    }
    quoted.push_back(mark);
    put(quoted);
  }

  size_t limit_;
  int depth_ = 0;
  std::string out_;
};

}  // namespace

std::string to_repr(const Value& value, size_t limit) {
  Writer writer(limit);
  writer.write(value);
  return writer.take();
}

std::string to_text(const Value& value, size_t limit) {
  if (value.is_undefined()) return {};
  if (value.is_string()) return value.as_string();
  return to_repr(value, limit);
}

}  // namespace rose::text::jinja
