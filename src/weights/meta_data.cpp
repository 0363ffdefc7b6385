#include "weights/meta_data.h"

#include <cstring>
#include <limits>

#include "weights/error.h"

namespace rose::weights {
namespace {

constexpr std::string_view kTypeNames[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                           "bool", "string", "array", "u64", "i64", "f64"};

template <typename T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

template <typename Out, typename In>
void append(std::span<const std::byte> numbers, std::vector<Out>& out) {
  for (size_t i = 0; i + sizeof(In) <= numbers.size(); i += sizeof(In)) {
    out.push_back(static_cast<Out>(load<In>(numbers.data() + i)));
  }
}

// Appends the numbers of an array; false when its elements are no numbers that `Out` takes. Integers become
// int64_t (u64 beyond it is refused by the caller) or float.
template <typename Out>
bool append_numbers(const MetaArray& array, std::vector<Out>& out) {
  out.reserve(array.count);
  switch (array.element) {
    case MetaType::kU8:
      append<Out, uint8_t>(array.numbers, out);
      return true;
    case MetaType::kI8:
      append<Out, int8_t>(array.numbers, out);
      return true;
    case MetaType::kU16:
      append<Out, uint16_t>(array.numbers, out);
      return true;
    case MetaType::kI16:
      append<Out, int16_t>(array.numbers, out);
      return true;
    case MetaType::kU32:
      append<Out, uint32_t>(array.numbers, out);
      return true;
    case MetaType::kI32:
      append<Out, int32_t>(array.numbers, out);
      return true;
    case MetaType::kU64:
      append<Out, uint64_t>(array.numbers, out);
      return true;
    case MetaType::kI64:
      append<Out, int64_t>(array.numbers, out);
      return true;
    default:
      return false;
  }
}

std::string shortened(std::string_view text, size_t width) {
  if (text.size() <= width) return std::string(text);
  while (width > 0 && (static_cast<unsigned char>(text[width]) & 0xc0) == 0x80)
    --width;  // not inside a character
  return fmt::format("{}… ({} bytes)", text.substr(0, width), text.size());
}

}  // namespace

std::string_view name(MetaType type) { return kTypeNames[static_cast<size_t>(type)]; }

std::string MetaValue::to_text(size_t width) const {
  if (auto v = std::get_if<uint64_t>(&value)) return fmt::format("{}", *v);
  if (auto v = std::get_if<int64_t>(&value)) return fmt::format("{}", *v);
  if (auto v = std::get_if<double>(&value)) {
    return type == MetaType::kF32 ? fmt::format("{}", static_cast<float>(*v)) : fmt::format("{}", *v);
  }
  if (auto v = std::get_if<bool>(&value)) return *v ? "true" : "false";
  if (auto v = std::get_if<std::string_view>(&value)) return shortened(*v, width);

  const auto& array = std::get<MetaArray>(value);
  std::string text;
  size_t shown = 0;
  if (array.element == MetaType::kString) {
    for (; shown < array.strings.size() && text.size() < width; ++shown) {
      text += (shown ? ", " : "") + shortened(array.strings[shown], width);
    }
  } else if (std::vector<float> numbers; array.element == MetaType::kF32) {
    append<float, float>(array.numbers.first(std::min<size_t>(array.numbers.size(), 4 * width)), numbers);
    for (; shown < numbers.size() && text.size() < width; ++shown)
      text += fmt::format("{}{}", shown ? ", " : "", numbers[shown]);
  } else if (std::vector<int64_t> integers; array.count <= 4096 && append_numbers(array, integers)) {
    for (; shown < integers.size() && text.size() < width; ++shown)
      text += fmt::format("{}{}", shown ? ", " : "", integers[shown]);
  }
  if (shown == array.count) return fmt::format("[{}]", text);
  return fmt::format("[{}{}…] ({} × {})", text, shown ? ", " : "", array.count, name(array.element));
}

bool MetaData::add(std::string_view key, MetaValue value) {
  if (!index_.emplace(key, entries_.size()).second) return false;
  entries_.emplace_back(key, std::move(value));
  return true;
}

const MetaValue* MetaData::find(std::string_view key) const {
  auto position = index_.find(key);
  return position == index_.end() ? nullptr : &entries_[position->second].second;
}

void MetaData::missing(std::string_view key) const { fail(file_, "key " + quote_name(key), "is missing"); }

void MetaData::mismatch(std::string_view key, const MetaValue& value, std::string_view expected) const {
  fail(file_, "key " + quote_name(key), "is {} ({}) where {} was expected", quote_name(value.to_text()),
       name(value.type), expected);
}

std::optional<uint64_t> MetaData::find_unsigned(std::string_view key) const {
  const MetaValue* found = find(key);
  if (!found) return std::nullopt;
  if (auto v = std::get_if<uint64_t>(&found->value)) return *v;
  if (auto v = std::get_if<int64_t>(&found->value); v && *v >= 0) return static_cast<uint64_t>(*v);
  mismatch(key, *found, "an unsigned integer");
}

std::optional<int64_t> MetaData::find_integer(std::string_view key) const {
  const MetaValue* found = find(key);
  if (!found) return std::nullopt;
  if (auto v = std::get_if<int64_t>(&found->value)) return *v;
  if (auto v = std::get_if<uint64_t>(&found->value); v && *v <= std::numeric_limits<int64_t>::max()) {
    return static_cast<int64_t>(*v);
  }
  mismatch(key, *found, "an integer");
}

std::optional<double> MetaData::find_real(std::string_view key) const {
  const MetaValue* found = find(key);
  if (!found) return std::nullopt;
  if (auto v = std::get_if<double>(&found->value)) return *v;
  if (auto v = std::get_if<uint64_t>(&found->value)) return static_cast<double>(*v);
  if (auto v = std::get_if<int64_t>(&found->value)) return static_cast<double>(*v);
  mismatch(key, *found, "a number");
}

std::optional<bool> MetaData::find_boolean(std::string_view key) const {
  const MetaValue* found = find(key);
  if (!found) return std::nullopt;
  if (auto v = std::get_if<bool>(&found->value)) return *v;
  mismatch(key, *found, "a boolean");
}

std::optional<std::string_view> MetaData::find_text(std::string_view key) const {
  const MetaValue* found = find(key);
  if (!found) return std::nullopt;
  if (auto v = std::get_if<std::string_view>(&found->value)) return *v;
  mismatch(key, *found, "a string");
}

const MetaArray* MetaData::array(std::string_view key, std::string_view expected) const {
  const MetaValue* found = find(key);
  if (!found) return nullptr;
  if (auto v = std::get_if<MetaArray>(&found->value)) return v;
  mismatch(key, *found, expected);
}

std::vector<int64_t> MetaData::integers(std::string_view key) const {
  const MetaValue* found = find(key);
  if (found && !std::holds_alternative<MetaArray>(found->value)) return {integer_at(key)};
  std::vector<int64_t> out;
  const MetaArray* numbers = array(key, "an array of integers");
  if (!numbers) return out;
  if (!append_numbers(*numbers, out)) mismatch(key, *found, "an array of integers");
  if (numbers->element == MetaType::kU64) {
    for (int64_t value : out) {
      if (value < 0) mismatch(key, *found, "an array of integers below 2^63");
    }
  }
  return out;
}

std::vector<float> MetaData::reals(std::string_view key) const {
  const MetaValue* found = find(key);
  if (found && !std::holds_alternative<MetaArray>(found->value)) return {static_cast<float>(real_at(key))};
  std::vector<float> out;
  const MetaArray* numbers = array(key, "an array of numbers");
  if (!numbers) return out;
  if (numbers->element == MetaType::kF32) {
    out.reserve(numbers->count);
    append<float, float>(numbers->numbers, out);
  } else if (numbers->element == MetaType::kF64) {
    append<float, double>(numbers->numbers, out);
  } else if (!append_numbers(*numbers, out)) {
    mismatch(key, *found, "an array of numbers");
  }
  return out;
}

std::vector<bool> MetaData::booleans(std::string_view key) const {
  const MetaValue* found = find(key);
  if (found && !std::holds_alternative<MetaArray>(found->value)) return {boolean_at(key)};
  std::vector<bool> out;
  const MetaArray* flags = array(key, "an array of booleans");
  if (!flags) return out;
  if (flags->element != MetaType::kBool) mismatch(key, *found, "an array of booleans");
  for (std::byte flag : flags->numbers) out.push_back(flag != std::byte{0});
  return out;
}

std::span<const std::string_view> MetaData::texts(std::string_view key) const {
  const MetaArray* strings = array(key, "an array of strings");
  if (!strings) return {};
  if (strings->element != MetaType::kString) mismatch(key, *find(key), "an array of strings");
  return strings->strings;
}

}  // namespace rose::weights
