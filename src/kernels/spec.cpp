#include "kernels/spec.h"

#include <fmt/format.h>

#include <charconv>

#include "ir/error.h"

namespace rose::kernels {
namespace {

template <class Number>
bool parse_number(const std::string& text, Number& value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

Fields::Fields(std::string_view text) : parsing_(true) {
  while (!text.empty()) {
    auto comma = text.find(',');
    auto item = text.substr(0, comma);
    text = comma == text.npos ? std::string_view{} : text.substr(comma + 1);
    auto equals = item.find('=');
    if (equals == item.npos)
      throw KernelError(fmt::format("'{}' in the spec is not of the form key=value", item));
    given_[std::string(item.substr(0, equals))] = std::string(item.substr(equals + 1));
  }
}

bool Fields::given(const char* key, std::string& text) {
  auto found = given_.find(key);
  if (found == given_.end()) return false;
  text = found->second;
  given_.erase(found);
  return true;
}

void Fields::add(const char* key, std::string value, const char* help) {
  list_.push_back({key, std::move(value), help});
}

void Fields::bad(const char* key, const std::string& text, const char* wanted) const {
  throw KernelError(fmt::format("the spec's {}='{}' is not {}", key, text, wanted));
}

void Fields::operator()(const char* key, int64_t& value, const char* help) {
  std::string text;
  if (given(key, text) && !parse_number(text, value)) bad(key, text, "a whole number");
  add(key, std::to_string(value), help);
}

void Fields::operator()(const char* key, int& value, const char* help) {
  int64_t wide = value;
  (*this)(key, wide, help);
  if (wide < INT32_MIN || wide > INT32_MAX) bad(key, std::to_string(wide), "a 32-bit number");
  value = static_cast<int>(wide);
}

void Fields::operator()(const char* key, double& value, const char* help) {
  std::string text;
  if (given(key, text) && !parse_number(text, value)) bad(key, text, "a number");
  add(key, fmt::format("{}", value), help);
}

void Fields::operator()(const char* key, bool& value, const char* help) {
  std::string text;
  if (given(key, text)) {
    if (text == "1" || text == "true")
      value = true;
    else if (text == "0" || text == "false")
      value = false;
    else
      bad(key, text, "0 or 1");
  }
  add(key, value ? "1" : "0", help);
}

void Fields::operator()(const char* key, ir::Type& value, const char* help) {
  std::string text;
  if (given(key, text)) {
    try {
      value = ir::parse_type(text);
    } catch (const ir::IrError& e) {
      bad(key, text, e.what());
    }
  }
  add(key, ir::to_string(value), help);
}

void Fields::operator()(const char* key, std::string& value, const char* help) {
  std::string text;
  if (given(key, text)) value = text;
  add(key, value, help);
}

std::string Fields::text() const {
  std::string out;
  for (const auto& f : list_) out += (out.empty() ? "" : ",") + f.key + "=" + f.value;
  return out;
}

void Fields::finish() const {
  if (given_.empty()) return;
  std::string known;
  for (const auto& f : list_) known += (known.empty() ? "" : ", ") + f.key;
  throw KernelError(
      fmt::format("the spec has no field '{}'; its fields are {}", given_.begin()->first, known));
}

void require(bool ok, std::string_view kernel, std::string_view what, int64_t value, std::string_view rule) {
  if (!ok) throw KernelError(fmt::format("{}: {} is {}; {}", kernel, what, value, rule));
}

}  // namespace rose::kernels
