// The values of chat templates: Python's, as far as a template can see them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace rose::text::jinja {

class Value;
class Dict;
using List = std::vector<Value>;

/// What is neither number, text nor container: namespaces, macros, loops, functions. Owned by the Runtime
/// that made it, never by a value, so values cannot form cycles of ownership.
class Object {
 public:
  virtual ~Object() = default;
  virtual const char* type_name() const = 0;
};

/// An immutable value; copies are cheap. Containers are shared and never change once a value holds them.
class Value {
 public:
  enum class Kind : uint8_t {
    kUndefined,
    kNone,
    kBool,
    kInt,
    kFloat,
    kString,
    kList,
    kTuple,
    kDict,
    kObject
  };

  Value() = default;  ///< undefined, without a name
  static Value none() { return Value(Kind::kNone); }
  /// `what`: the message of the error if the value is used ("'x' is undefined").
  static Value undefined(std::string what);
  static Value boolean(bool value);
  static Value integer(int64_t value);
  static Value real(double value);
  static Value string(std::string value);
  /// Containers throw TextError when nested more than 200 deep.
  static Value list(List items);
  static Value tuple(List items);
  static Value dict(Dict items);
  static Value object(Object* object);

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_undefined() const { return kind_ == Kind::kUndefined; }
  bool is_none() const { return kind_ == Kind::kNone; }
  bool is_string() const { return kind_ == Kind::kString; }
  bool is_sequence() const { return kind_ == Kind::kList || kind_ == Kind::kTuple; }
  bool is_dict() const { return kind_ == Kind::kDict; }
  /// Python counts True and False as integers.
  bool is_integral() const { return kind_ == Kind::kInt || kind_ == Kind::kBool; }
  bool is_number() const { return is_integral() || kind_ == Kind::kFloat; }

  // Only for the kind that the name says.
  int64_t as_integer() const { return number_.integer; }
  double as_real() const {
    return kind_ == Kind::kFloat ? number_.real : static_cast<double>(number_.integer);
  }
  const std::string& as_string() const { return *text_; }
  const List& items() const { return *list_; }
  const Dict& as_dict() const { return *dict_; }
  Object* as_object() const { return object_; }
  /// The message of an undefined value.
  std::string undefined_message() const { return text_ ? *text_ : "a value is undefined"; }

  /// Nesting of containers: 0 for scalars.
  int depth() const { return depth_; }
  /// Python's bool(value).
  bool truth() const;
  /// Python's type(value).__name__.
  const char* type_name() const;

 private:
  explicit Value(Kind kind) : kind_(kind) {}
  Kind kind_ = Kind::kUndefined;
  uint16_t depth_ = 0;
  union {
    int64_t integer = 0;
    double real;
  } number_;
  Object* object_ = nullptr;
  std::shared_ptr<const std::string> text_;
  std::shared_ptr<const List> list_;
  std::shared_ptr<const Dict> dict_;
};

/// A dictionary in order of insertion.
class Dict {
 public:
  using Entry = std::pair<Value, Value>;

  /// Replaces the value of a key that is there. Throws TextError for keys that Python cannot hash.
  void set(const Value& key, Value value);
  void set(std::string_view key, Value value) { set(Value::string(std::string(key)), std::move(value)); }
  /// Null if the key is missing.
  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;
  const std::vector<Entry>& entries() const { return entries_; }
  size_t size() const { return entries_.size(); }

 private:
  std::vector<Entry> entries_;
  std::unordered_map<std::string, size_t> index_;
};

/// What comparing may still cost, and has to: values that share their parts are small but endless to walk.
struct Effort {
  size_t left;
  void spend(size_t count);  ///< throws TextError when there is not so much left
};
/// Python's ==; values of different kinds are unequal, except that numbers compare by value.
bool equal(const Value& a, const Value& b, Effort& effort);
/// Python's < for numbers, strings and sequences. Throws TextError for what Python does not order.
bool less(const Value& a, const Value& b, Effort& effort);
/// Python's str(value) and repr(value). `limit` is the most bytes that the text may have.
std::string to_text(const Value& value, size_t limit);
std::string to_repr(const Value& value, size_t limit);
/// Python's repr of a float: the shortest digits that read back as the same number.
std::string float_text(double value);

}  // namespace rose::text::jinja
