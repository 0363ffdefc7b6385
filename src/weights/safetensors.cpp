#include "weights/safetensors.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <tuple>

#include "weights/checked.h"
#include "weights/error.h"
#include "weights/json_sax.h"

namespace rose::weights {
namespace {

struct Entry {
  std::string name;
  std::optional<std::string> dtype;
  std::optional<std::vector<uint64_t>> shape;
  std::optional<std::vector<uint64_t>> offsets;
};

// Collects the entries of a header, each with all its fields; whether their values make sense is looked at
// afterwards.
class HeaderJson final : public StrictJson {
 public:
  std::vector<Entry> entries;
  std::map<std::string, std::string> metadata;

 private:
  bool in_metadata() const { return name_ == "__metadata__"; }

  void on_key(std::string_view key) override {
    if (depth() == 1) {
      name_ = key;
      field_.clear();
      if (!in_metadata()) entries.push_back({name_, {}, {}, {}});
      return;
    }
    field_ = key;
    if (!in_metadata() && key != "dtype" && key != "shape" && key != "data_offsets") refuse("this key");
  }

  void on_open_object() override {
    if (depth() != 1) refuse("an object");
  }

  // Checked at once and not at the end, so that a header of very many empty entries stops early.
  void on_close_object() override {
    if (in_metadata()) return;
    field_.clear();
    const Entry& entry = entries.back();
    const char* missing = !entry.dtype     ? "dtype"
                          : !entry.shape   ? "shape"
                          : !entry.offsets ? "data_offsets"
                                           : nullptr;
    if (missing) fail(file(), "tensor " + quote_name(name_), "has no {}", missing);
  }

  void on_text(std::string_view text) override {
    if (depth() == 2 && in_metadata()) {
      metadata[field_] = text;
    } else if (depth() == 2 && field_ == "dtype" && !in_list_) {
      entries.back().dtype = text;
    } else {
      refuse("a string");
    }
  }

  void on_open_array() override {
    if (depth() != 2 || in_metadata() || field_ == "dtype" || in_list_) refuse("an array");
    in_list_ = true;
    list().emplace();
  }

  void on_unsigned(uint64_t value) override {
    if (!in_list_) refuse("a number");
    constexpr size_t kMaxRank = 64;
    if (list()->size() == kMaxRank) fail(file(), where(), "has more than {} numbers", kMaxRank);
    list()->push_back(value);
  }

  void on_close_array() override { in_list_ = false; }

  std::optional<std::vector<uint64_t>>& list() {
    return field_ == "shape" ? entries.back().shape : entries.back().offsets;
  }

  std::string where() const override {
    if (depth() <= 1 && name_.empty()) return "header";
    std::string text = in_metadata() ? name_ : "tensor " + quote_name(name_);
    if (depth() == 2 && !field_.empty()) text += ": " + (in_metadata() ? quote_name(field_) : field_known());
    return text;
  }

  std::string field_known() const {
    return field_ == "dtype" || field_ == "shape" || field_ == "data_offsets" ? field_
                                                                              : "key " + quote_name(field_);
  }

  std::string name_, field_;
  bool in_list_ = false;
};

std::string supported_dtypes() {
  std::string text;
  for (const FormatInfo& row : all_formats()) {
    if (!row.safetensors.empty()) text += (text.empty() ? "" : ", ") + std::string(row.safetensors);
  }
  return text;
}

// Checks one entry against its own numbers and the size of the data.
Tensor make_tensor(Entry& entry, const std::filesystem::path& file, std::span<const std::byte> data) {
  const std::string field = "tensor " + quote_name(entry.name);
  auto format = format_of_safetensors(*entry.dtype);
  if (!format) {
    fail(file, field + ": dtype", "{} is not supported; supported are {}", quote_name(*entry.dtype),
         supported_dtypes());
  }
  if (entry.offsets->size() != 2) {
    fail(file, field + ": data_offsets", "must be two numbers, but there are {}", entry.offsets->size());
  }
  const uint64_t begin = (*entry.offsets)[0], end = (*entry.offsets)[1];
  if (begin > end) fail(file, field + ": data_offsets", "begin {} is after end {}", begin, end);
  if (end > data.size()) {
    fail(file, field + ": data_offsets", "end {} lies beyond the {} bytes of data; the file may be truncated",
         end, data.size());
  }
  auto bytes = byte_count(*format, *entry.shape);
  if (!bytes) {
    fail(file, field + ": shape", "{} of {} does not fit in whole blocks and 64 bits",
         shape_text(*entry.shape), *entry.dtype);
  }
  if (*bytes != end - begin) {
    fail(file, field + ": data_offsets", "[{}, {}] span {} bytes, but {} {} needs {}", begin, end,
         end - begin, *entry.dtype, shape_text(*entry.shape), *bytes);
  }
  Tensor tensor{
      std::move(entry.name), *format, std::move(*entry.shape), data.subspan(begin, end - begin), 0, 0};
  tensor.elements = *element_count(tensor.shape);
  return tensor;
}

// Sorts by position and refuses overlaps, gaps and a remainder.
void check_coverage(std::vector<Tensor>& tensors, const std::filesystem::path& file,
                    std::span<const std::byte> data) {
  auto begin_of = [&](const Tensor& tensor) {
    return static_cast<uint64_t>(tensor.bytes.data() - data.data());
  };
  std::ranges::sort(tensors, [&](const Tensor& a, const Tensor& b) {
    return std::tuple(begin_of(a), a.bytes.size(), std::string_view(a.name)) <
           std::tuple(begin_of(b), b.bytes.size(), std::string_view(b.name));
  });
  uint64_t covered = 0;
  for (const Tensor& tensor : tensors) {
    const uint64_t begin = begin_of(tensor);
    const std::string field = "tensor " + quote_name(tensor.name) + ": data_offsets";
    if (begin < covered)
      fail(file, field, "begin {} overlaps the tensor before it, which ends at {}", begin, covered);
    if (begin > covered)
      fail(file, field, "begin {} leaves a gap after the tensor before it, which ends at {}", begin, covered);
    covered = begin + tensor.bytes.size();
  }
  if (covered != data.size()) {
    fail(file, "data", "has {} bytes, but the tensors of the header cover {}", data.size(), covered);
  }
}

}  // namespace

Safetensors parse_safetensors(const Source& source) {
  const std::filesystem::path& file = source.path;
  const std::span<const std::byte> bytes = source.bytes;
  if (bytes.size() < 8) {
    fail(file, "header length", "is cut off: the file has {} bytes, a safetensors file at least 8",
         bytes.size());
  }
  uint64_t length;
  std::memcpy(&length, bytes.data(), 8);
  if (length > kMaxSafetensorsHeader) {
    fail(file, "header length", "{} is above the limit of {} bytes; this may not be a safetensors file",
         length, kMaxSafetensorsHeader);
  }
  if (length > bytes.size() - 8) {
    fail(file, "header length", "{} reaches beyond the file's {} bytes; the file may be truncated", length,
         bytes.size());
  }
  const std::string_view header(reinterpret_cast<const char*>(bytes.data()) + 8, length);
  if (header.empty() || header[0] != '{') fail(file, "header", "must begin with '{{'");

  HeaderJson json;
  json.parse(header, file, "header");
  const std::span<const std::byte> data = bytes.subspan(8 + length);
  std::vector<Tensor> tensors;
  tensors.reserve(json.entries.size());
  for (Entry& entry : json.entries) tensors.push_back(make_tensor(entry, file, data));
  check_coverage(tensors, file, data);
  return {TensorStore({source}, std::move(tensors)), std::move(json.metadata)};
}

Safetensors open_safetensors(const std::filesystem::path& file) {
  auto mapped = MappedFile::open(file);
  return parse_safetensors({file, mapped->bytes(), mapped});
}

}  // namespace rose::weights
