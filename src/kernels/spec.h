// Specs: plain structs whose values become constants in the generated code. Each lists its fields once, in a
// member `void fields(Fields&)`; printing, parsing, help and the cache key all come from that list.
#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "ir/type.h"

namespace rose::kernels {

// A Spec outside of a kernel's range, an unknown kernel or field, or arguments that do not fit: says which
// and why.
class KernelError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct FieldInfo {
  std::string key, value, help;  // value: of a default-constructed Spec
};

class Fields {
 public:
  // Each call either prints the field, or sets it from the given text.
  void operator()(const char* key, int64_t& value, const char* help);
  void operator()(const char* key, int& value, const char* help);
  void operator()(const char* key, double& value, const char* help);
  void operator()(const char* key, bool& value, const char* help);
  void operator()(const char* key, ir::Type& value, const char* help);
  void operator()(const char* key, std::string& value, const char* help);

  Fields() = default;                      // prints
  explicit Fields(std::string_view text);  // parses "key=value,key=value"
  std::string text() const;                // what was printed
  const std::vector<FieldInfo>& list() const { return list_; }
  void finish() const;  // throws for given keys that no field took

 private:
  bool given(const char* key, std::string& text);
  void add(const char* key, std::string value, const char* help);
  [[noreturn]] void bad(const char* key, const std::string& text, const char* wanted) const;

  bool parsing_ = false;
  std::map<std::string, std::string, std::less<>> given_;
  std::vector<FieldInfo> list_;
};

// "hidden=4096,dtype=bf16": the same for equal specs, part of the cache key.
template <class Spec>
std::string spec_text(Spec spec) {
  Fields fields;
  spec.fields(fields);
  return fields.text();
}

// The Spec with these fields set, the others at their defaults. Throws KernelError.
template <class Spec>
Spec parse_spec(std::string_view text) {
  Spec spec;
  Fields fields(text);
  spec.fields(fields);
  fields.finish();
  return spec;
}

// Throws KernelError "<kernel>: <what> is <value>; <rule>" unless `ok`.
void require(bool ok, std::string_view kernel, std::string_view what, int64_t value, std::string_view rule);

}  // namespace rose::kernels
