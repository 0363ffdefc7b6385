// Python's two ways to format texts: "%s" % value and "{}".format(value).
#include <fmt/format.h>

#include <algorithm>

#include <cmath>

#include "text/jinja/interpreter.h"
#include "text/unicode/utf8.h"

namespace rose::text::jinja {
namespace {

constexpr int kMaxWidth = 10000;

struct Spec {
  std::string fill = " ";
  char align = '\0';  ///< '<', '>', '^', '='
  char sign = '\0';   ///< '+' or ' '
  bool alternate = false;
  bool zero = false;
  char comma = '\0';
  int width = 0;
  int precision = -1;
  char type = '\0';
};

// Digits at `at`, at most kMaxWidth; -1 if there are none.
int read_number(Interpreter& run, std::string_view text, size_t& at) {
  int value = -1;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; at++) {
    value = std::max(value, 0) * 10 + (text[at] - '0');
    if (value > kMaxWidth) run.fail("a width or precision in a format is larger than 10000");
  }
  return value;
}

std::string pad(const std::string& text, const Spec& spec, char otherwise) {
  auto length = static_cast<int>(unicode::count(text));
  if (length >= spec.width) return text;
  int missing = spec.width - length;
  char align = spec.align ? spec.align : otherwise;
  int left = align == '>' ? missing : align == '^' ? missing / 2 : 0;
  std::string out;
  auto fill = [&](int count) {
    for (int i = 0; i < count; i++) out += spec.fill;
  };
  if (align == '=') {
    size_t sign = !text.empty() && (text[0] == '-' || text[0] == '+' || text[0] == ' ');
    out = text.substr(0, sign);
    fill(missing);
    return out + text.substr(sign);
  }
  fill(left);
  out += text;
  fill(missing - left);
  return out;
}

std::string group_thousands(std::string digits, char comma) {
  size_t whole = std::min(digits.find_first_not_of("0123456789"), digits.size());
  for (size_t at = whole; at > 3;) {
    at -= 3;
    digits.insert(at, 1, comma);
  }
  return digits;
}

std::string number_text(Interpreter& run, const Value& value, const Spec& spec) {
  char type = spec.type;
  bool whole = type == 'd' || type == 'x' || type == 'X' || type == 'o' || type == 'b' || type == 'n' ||
               (type == '\0' && value.is_integral());
  std::string digits;
  bool negative = false;
  if (whole) {
    if (!value.is_integral())
      run.fail(fmt::format("format '{}' needs an integer, not '{}'", type, value.type_name()));
    int64_t number = value.as_integer();
    negative = number < 0;
    uint64_t size = negative ? 0 - static_cast<uint64_t>(number) : static_cast<uint64_t>(number);
    digits = type == 'x'   ? fmt::format("{:x}", size)
             : type == 'X' ? fmt::format("{:X}", size)
             : type == 'o' ? fmt::format("{:o}", size)
             : type == 'b' ? fmt::format("{:b}", size)
                           : fmt::format("{}", size);
    if (spec.alternate && type != 'd' && type != 'n' && type != '\0')
      digits.insert(0, std::string("0") + type);
  } else {
    double number = value.as_real();
    negative = std::signbit(number) && !std::isnan(number);
    number = std::abs(number);
    int precision = spec.precision < 0 ? 6 : spec.precision;
    switch (type) {
      case 'e':
        digits = fmt::format("{:.{}e}", number, precision);
        break;
      case 'E':
        digits = fmt::format("{:.{}E}", number, precision);
        break;
      case 'f':
      case 'F':
        digits = fmt::format("{:.{}f}", number, precision);
        break;
      case '%':
        digits = fmt::format("{:.{}f}%", number * 100, precision);
        break;
      case '\0':
        if (spec.precision < 0) {
          digits = float_text(number);
          break;
        }
        [[fallthrough]];
      case 'g':
      case 'G':
        digits = fmt::format("{:.{}g}", number, std::max(precision, 1));
        break;
      default:
        run.fail(fmt::format("unknown format code '{}'", type));
    }
  }
  if (spec.comma) digits = group_thousands(digits, spec.comma);
  if (negative) return "-" + digits;
  return spec.sign ? spec.sign + digits : digits;
}

// [[fill]align][sign][#][0][width][,][.precision][type]
Spec parse_spec(Interpreter& run, std::string_view text) {
  Spec spec;
  size_t at = 0;
  auto is_align = [](char c) { return c == '<' || c == '>' || c == '^' || c == '='; };
  if (!text.empty()) {
    size_t first = unicode::sequence_length(text[0]);
    if (first < text.size() && is_align(text[first])) {
      spec.fill = text.substr(0, first);
      spec.align = text[first];
      at = first + 1;
    } else if (is_align(text[0])) {
      spec.align = text[at++];
    }
  }
  auto accept = [&](char c) { return at < text.size() && text[at] == c && ++at; };
  if (accept('+'))
    spec.sign = '+';
  else if (accept(' '))
    spec.sign = ' ';
  else
    accept('-');
  spec.alternate = accept('#');
  if (accept('0') && !spec.align) spec.fill = "0", spec.align = '=';
  spec.width = std::max(read_number(run, text, at), 0);
  if (accept(','))
    spec.comma = ',';
  else if (accept('_'))
    spec.comma = '_';
  if (accept('.') && (spec.precision = read_number(run, text, at)) < 0)
    run.fail("a format lacks its precision");
  if (at < text.size()) spec.type = text[at++];
  if (at < text.size()) run.fail(fmt::format("invalid format specifier '{}'", text));
  return spec;
}

std::string cut(const std::string& text, int precision) {
  if (precision < 0) return text;
  size_t at = 0;
  for (int i = 0; i < precision && at < text.size(); i++) at += unicode::sequence_length(text[at]);
  return text.substr(0, at);
}

std::string format_value(Interpreter& run, const Value& value, std::string_view text) {
  Spec spec = parse_spec(run, text);
  bool as_number = value.is_number() && !(value.is(Value::Kind::kBool) && text.empty());
  if (as_number && spec.type != 's') return pad(number_text(run, value, spec), spec, '>');
  if (spec.type != '\0' && spec.type != 's')
    run.fail(fmt::format("unknown format code '{}' for '{}'", spec.type, value.type_name()));
  return pad(cut(run.str(value), spec.precision), spec, '<');
}

}  // namespace

std::string percent_format(Interpreter& run, const std::string& format, const Value& values) {
  List arguments = values.is(Value::Kind::kTuple) ? values.items() : List{values};
  size_t used = 0;
  bool named = false;
  std::string out;
  for (size_t at = 0; at < format.size();) {
    if (format[at] != '%') {
      size_t next = std::min(format.find('%', at), format.size());
      out.append(format, at, next - at);
      at = next;
      continue;
    }
    if (++at >= format.size()) run.fail("incomplete format");
    if (format[at] == '%') {
      out.push_back('%');
      at++;
      continue;
    }
    auto next_value = [&]() -> Value {
      if (used >= arguments.size()) run.fail("not enough arguments for format string");
      return arguments[used++];
    };
    Value value;
    bool have_value = false;
    if (format[at] == '(') {
      size_t end = format.find(')', at);
      if (end == std::string::npos || !values.is_dict()) run.fail("a named format requires a mapping");
      const Value* found = values.as_dict().find(std::string_view(format).substr(at + 1, end - at - 1));
      if (!found) run.fail("a format names a key that the mapping lacks");
      value = *found;
      have_value = named = true;
      at = end + 1;
    }
    Spec spec;
    for (; at < format.size() && std::string_view("-+ #0").find(format[at]) != std::string_view::npos; at++) {
      if (format[at] == '-') spec.align = '<';
      if (format[at] == '+') spec.sign = '+';
      if (format[at] == ' ' && !spec.sign) spec.sign = ' ';
      if (format[at] == '#') spec.alternate = true;
      if (format[at] == '0') spec.zero = true;
    }
    auto number = [&]() -> int {
      if (at < format.size() && format[at] == '*') {
        at++;
        int64_t given = run.integer_argument(next_value(), "a width in a format");
        if (given < 0 || given > kMaxWidth) run.fail("a width or precision in a format is out of range");
        return static_cast<int>(given);
      }
      return read_number(run, format, at);
    };
    spec.width = std::max(number(), 0);
    if (at < format.size() && format[at] == '.') {
      at++;
      spec.precision = std::max(number(), 0);
    }
    if (at >= format.size()) run.fail("incomplete format");
    char type = format[at++];
    if (!have_value) value = next_value();
    std::string text;
    if (type == 's' || type == 'r' || type == 'a') {
      text = cut(type == 's' ? run.str(value) : to_repr(value, 64 << 20), spec.precision);
      spec.zero = false;
    } else if (type == 'c') {
      text = value.is_string() ? value.as_string()
                               : unicode::encode(static_cast<char32_t>(
                                     std::clamp<int64_t>(run.integer_argument(value, "%c"), 0, 0xD7FF)));
    } else {
      if (!value.is_number())
        run.fail(fmt::format("%{} format: a real number is required, not {}", type, value.type_name()));
      if (type == 'i' || type == 'u') type = 'd';
      if (type == 'd' && value.is(Value::Kind::kFloat)) {
        if (!(std::abs(value.as_real()) < 9.2e18)) run.fail("cannot convert float to integer");
        value = Value::integer(static_cast<int64_t>(value.as_real()));
      }
      spec.type = type;
      int precision = spec.precision;
      text = number_text(run, value, spec);
      if (type == 'd' && precision > static_cast<int>(text.size()))
        text.insert(text[0] == '-', std::string(precision - text.size(), '0'));
    }
    if (spec.zero && spec.align != '<') spec.fill = "0", spec.align = '=';
    out += pad(text, spec, '>');
    run.charge(text.size() + static_cast<size_t>(spec.width));
  }
  if (!named && used < arguments.size() && !(values.is_dict() && used == 0))
    run.fail("not all arguments converted during string formatting");
  return out;
}

std::string brace_format(Interpreter& run, const std::string& format, const Arguments& arguments) {
  std::string out;
  size_t automatic = 0;
  for (size_t at = 0; at < format.size();) {
    char c = format[at];
    if (c == '}' || (c == '{' && at + 1 < format.size() && format[at + 1] == '{')) {
      if (at + 1 >= format.size() || format[at + 1] != c) run.fail("single '}' encountered in format string");
      out.push_back(c);
      at += 2;
      continue;
    }
    if (c != '{') {
      out.push_back(c);
      at++;
      continue;
    }
    size_t end = format.find('}', at);
    if (end == std::string::npos) run.fail("expected '}' before end of string");
    std::string field = format.substr(at + 1, end - at - 1), spec, conversion;
    if (field.find('{') != std::string::npos) run.fail("nested fields in a format are not supported");
    if (size_t colon = field.find(':'); colon != std::string::npos)
      spec = field.substr(colon + 1), field.resize(colon);
    if (size_t mark = field.find('!'); mark != std::string::npos)
      conversion = field.substr(mark + 1), field.resize(mark);
    // The first name or number, then .attribute and [item] steps.
    size_t stop = std::min(field.find_first_of(".["), field.size());
    std::string first = field.substr(0, stop);
    const Value* found = nullptr;
    if (first.empty() || (first[0] >= '0' && first[0] <= '9')) {
      size_t place = 0,
             index = first.empty() ? automatic++ : static_cast<size_t>(read_number(run, first, place));
      if (index < arguments.positional.size()) found = &arguments.positional[index];
    } else {
      for (const auto& [name, value] : arguments.keywords)
        if (name == first) found = &value;
    }
    if (!found) run.fail(fmt::format("the format field '{}' has no argument", first));
    Value value = *found;
    for (size_t step = stop; step < field.size();) {
      size_t begin = step + 1;
      if (field[step] == '.') {
        step = std::min(field.find_first_of(".[", begin), field.size());
        value = run.attribute(value, field.substr(begin, step - begin));
      } else {
        size_t close = field.find(']', begin);
        if (field[step] != '[' || close == std::string::npos) run.fail("wrong field in a format");
        std::string key = field.substr(begin, close - begin);
        size_t place = 0;
        int index = read_number(run, key, place);
        value =
            run.item(value, index >= 0 && place == key.size() ? Value::integer(index) : Value::string(key));
        step = close + 1;
      }
      if (value.is_undefined()) run.fail(value.undefined_message());
    }
    if (conversion == "r" || conversion == "a")
      value = run.text(to_repr(value, 64 << 20));
    else if (conversion == "s")
      value = run.text(run.str(value));
    else if (!conversion.empty())
      run.fail("unknown conversion in a format");
    std::string text = format_value(run, value, spec);
    run.charge(text.size());
    out += text;
    at = end + 1;
  }
  return out;
}

}  // namespace rose::text::jinja
