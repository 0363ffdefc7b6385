#include "runtime/cache/key.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <charconv>

namespace rose::runtime {
namespace {

// "12:rms_norm_row\n": with its length before it, no part can pretend to be two.
void append_part(std::string& text, std::string_view part) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof(digits), part.size()).ptr;
  text.append(digits, end).push_back(':');
  text.append(part).push_back('\n');
}

}  // namespace

Digest digest_of(std::string_view bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {hash.low64, hash.high64};
}

std::string Digest::hex() const {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text(32, '0');
  for (int i = 0; i < 16; ++i) {
    text[static_cast<size_t>(15 - i)] = kDigits[high >> (4 * i) & 15];
    text[static_cast<size_t>(31 - i)] = kDigits[low >> (4 * i) & 15];
  }
  return text;
}

ProgramKey::ProgramKey(std::string_view kernel, std::string_view spec, std::string_view target,
                       std::string_view generator_version, std::string_view features)
    : kernel_size_(kernel.size()) {
  constexpr size_t kLengthsAndBreaks = 5 * 8;
  text_.reserve(kernel.size() + spec.size() + target.size() + generator_version.size() + features.size() +
                kLengthsAndBreaks);
  append_part(text_, kernel);
  kernel_begin_ = text_.size() - kernel.size() - 1;
  append_part(text_, spec);
  append_part(text_, target);
  append_part(text_, generator_version);
  append_part(text_, features);
  digest_ = digest_of(text_);
}

}  // namespace rose::runtime
