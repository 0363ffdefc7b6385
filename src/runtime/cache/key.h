// The name of a compiled kernel: everything that decides its code, hashed once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace rose::runtime {

/// 128 bits that name a program on disk (XXH3 of the key's text).
struct Digest {
  uint64_t low = 0, high = 0;
  bool operator==(const Digest&) const = default;
  std::string hex() const;  // 32 digits
};

/// XXH3, 128 bits, of any bytes.
Digest digest_of(std::string_view bytes);

/// Two programs have the same key if and only if they are made from the same kernel, spec, target, version of
/// the generator and processor features. Building one costs a small allocation and one hash of the text
/// (well below 1 µs); keep it beside the spec where even that counts.
class ProgramKey {
 public:
  /// `spec` is any text that is different for different specs, e.g. "dtype=bf16,hidden=4096". `features` is
  /// DeviceProperties::features.
  ProgramKey(std::string_view kernel, std::string_view spec, std::string_view target,
             std::string_view generator_version, std::string_view features = {});

  const std::string& text() const { return text_; }  // one line a part, each after its length
  std::string_view kernel() const { return std::string_view(text_).substr(kernel_begin_, kernel_size_); }
  const Digest& digest() const { return digest_; }
  bool operator==(const ProgramKey& other) const { return digest_ == other.digest_ && text_ == other.text_; }

 private:
  std::string text_;
  size_t kernel_begin_ = 0, kernel_size_ = 0;
  Digest digest_;
};

}  // namespace rose::runtime
