#include "runtime/cache/serialize.h"

#include <bit>
#include <cstring>

namespace rose::runtime {
namespace {

static_assert(std::endian::native == std::endian::little, "x86-64 only");

class Writer {
 public:
  template <class Number>
  void number(Number value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  void text(std::string_view value) {
    number(static_cast<uint64_t>(value.size()));
    bytes_.append(value);
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// After the first read beyond the end, `ok` is false and everything reads as zero.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  template <class Number>
  Number number() {
    Number value = 0;
    if (rest_.size() < sizeof(value)) {
      ok_ = false;
      return 0;
    }
    std::memcpy(&value, rest_.data(), sizeof(value));
    rest_.remove_prefix(sizeof(value));
    return value;
  }
  std::string text() {
    const auto size = number<uint64_t>();
    if (size > rest_.size()) {
      ok_ = false;
      return {};
    }
    std::string value(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return value;
  }
  bool flag() {
    const auto value = number<uint8_t>();
    if (value > 1) ok_ = false;
    return value == 1;
  }
  bool ok() const { return ok_; }
  bool at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace

std::string to_bytes(const ProgramSource& source) {
  Writer out;
  out.text(source.target);
  out.text(source.entry);
  out.number(static_cast<uint32_t>(source.parameters.size()));
  for (const ParameterInfo& parameter : source.parameters) {
    out.text(parameter.name);
    out.number(static_cast<uint8_t>(parameter.kind));
    out.number(parameter.bytes);
  }
  for (uint32_t v : source.threads) out.number(v);
  for (uint32_t v : source.cluster) out.number(v);
  out.number(source.shared_bytes);
  out.number(static_cast<uint8_t>(source.cooperative));
  out.number(static_cast<uint8_t>(source.pdl));
  out.number(source.scratch_bytes);
  out.text(source.code);  // last, so that a person who looks into the file finds the code in one piece
  return out.take();
}

std::optional<ProgramSource> from_bytes(std::string_view bytes) {
  Reader in(bytes);
  ProgramSource source;
  source.target = in.text();
  source.entry = in.text();
  const auto parameters = in.number<uint32_t>();
  for (uint32_t i = 0; i < parameters && in.ok(); ++i) {
    ParameterInfo parameter;
    parameter.name = in.text();
    const auto kind = in.number<uint8_t>();
    if (kind > static_cast<uint8_t>(ParameterInfo::Kind::kTensorMap)) return std::nullopt;
    parameter.kind = static_cast<ParameterInfo::Kind>(kind);
    parameter.bytes = in.number<uint32_t>();
    source.parameters.push_back(std::move(parameter));
  }
  for (uint32_t& v : source.threads) v = in.number<uint32_t>();
  for (uint32_t& v : source.cluster) v = in.number<uint32_t>();
  source.shared_bytes = in.number<uint32_t>();
  source.cooperative = in.flag();
  source.pdl = in.flag();
  source.scratch_bytes = in.number<uint64_t>();
  source.code = in.text();
  if (!in.ok() || !in.at_end()) return std::nullopt;
  return source;
}

}  // namespace rose::runtime
