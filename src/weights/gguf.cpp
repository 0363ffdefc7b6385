#include "weights/gguf.h"

#include <algorithm>
#include <cstring>

#include "weights/checked.h"
#include "weights/error.h"
#include "weights/gguf_cursor.h"

namespace rose::weights {
namespace {

constexpr int kMaxArrayDepth = 4;
constexpr uint64_t kMaxNestedArrays = 1 << 16;  // nested arrays cost memory beyond what they take in the file
constexpr uint32_t kMaxRank = 4;                // as in ggml
constexpr uint64_t kMaxAlignment = 1 << 20;
constexpr std::string_view kAlignmentKey = "general.alignment";

uint64_t bytes_of(MetaType type) {
  switch (type) {
    case MetaType::kU8:
    case MetaType::kI8:
    case MetaType::kBool:
      return 1;
    case MetaType::kU16:
    case MetaType::kI16:
      return 2;
    case MetaType::kU32:
    case MetaType::kI32:
    case MetaType::kF32:
      return 4;
    case MetaType::kU64:
    case MetaType::kI64:
    case MetaType::kF64:
      return 8;
    case MetaType::kString:
      return 8;  // at least its length
    case MetaType::kArray:
      return 12;  // at least its type and count
  }
  return 1;
}

MetaType read_type(Cursor& cursor) {
  const auto type = cursor.number<uint32_t>();
  if (type > static_cast<uint32_t>(MetaType::kF64)) cursor.wrong("value type {} is unknown", type);
  return static_cast<MetaType>(type);
}

bool read_bool(Cursor& cursor) {
  const auto value = cursor.number<uint8_t>();
  if (value > 1) cursor.wrong("a boolean must be 0 or 1, but is {}", value);
  return value != 0;
}

MetaArray read_array(Cursor& cursor, int depth) {
  if (depth > kMaxArrayDepth) cursor.wrong("arrays are nested more than {} deep", kMaxArrayDepth);
  MetaArray array;
  array.element = read_type(cursor);
  array.count = cursor.count(bytes_of(array.element));
  if (array.element == MetaType::kString) {
    array.strings.reserve(array.count);
    for (uint64_t i = 0; i < array.count; ++i) array.strings.push_back(cursor.string());
  } else if (array.element == MetaType::kArray) {
    if (array.count > kMaxNestedArrays)
      cursor.wrong("has {} nested arrays, more than {}", array.count, kMaxNestedArrays);
    for (uint64_t i = 0; i < array.count; ++i) array.arrays.push_back(read_array(cursor, depth + 1));
  } else {
    array.numbers =
        cursor.take(array.count * bytes_of(array.element));  // cannot overflow: count() has compared
  }
  return array;
}

MetaValue read_value(Cursor& cursor) {
  const MetaType type = read_type(cursor);
  switch (type) {
    case MetaType::kU8:
      return {type, uint64_t{cursor.number<uint8_t>()}};
    case MetaType::kU16:
      return {type, uint64_t{cursor.number<uint16_t>()}};
    case MetaType::kU32:
      return {type, uint64_t{cursor.number<uint32_t>()}};
    case MetaType::kU64:
      return {type, cursor.number<uint64_t>()};
    case MetaType::kI8:
      return {type, int64_t{cursor.number<int8_t>()}};
    case MetaType::kI16:
      return {type, int64_t{cursor.number<int16_t>()}};
    case MetaType::kI32:
      return {type, int64_t{cursor.number<int32_t>()}};
    case MetaType::kI64:
      return {type, cursor.number<int64_t>()};
    case MetaType::kF32:
      return {type, double{cursor.number<float>()}};
    case MetaType::kF64:
      return {type, cursor.number<double>()};
    case MetaType::kBool:
      return {type, read_bool(cursor)};
    case MetaType::kString:
      return {type, cursor.string()};
    case MetaType::kArray:
      return {type, read_array(cursor, 1)};
  }
  cursor.wrong("value type {} is unknown", static_cast<uint32_t>(type));
}

uint32_t read_version(Cursor& cursor) {
  cursor.enter("magic");
  const auto magic = cursor.take(4);
  if (std::memcmp(magic.data(), "GGUF", 4) != 0)
    cursor.wrong("the file does not begin with \"GGUF\", so it is no GGUF file");
  cursor.enter("version");
  const auto version = cursor.number<uint32_t>();
  if ((version & 0xffff) == 0 && version != 0) {
    cursor.wrong("{:#x} looks byte-swapped: big-endian GGUF files are not supported; convert the model again",
                 version);
  }
  if (version != 2 && version != 3) {
    cursor.wrong("{} is not supported, only 2 and 3; convert the model again with a current tool", version);
  }
  return version;
}

uint64_t read_alignment(const MetaData& metadata) {
  const uint64_t alignment = metadata.unsigned_or(kAlignmentKey, 32);
  if (alignment == 0 || (alignment & (alignment - 1)) != 0 || alignment > kMaxAlignment) {
    fail(metadata.file(), "key " + quote_name(kAlignmentKey), "{} is no power of two up to {}", alignment,
         kMaxAlignment);
  }
  return alignment;
}

// A tensor info before its data is placed.
struct PlacedTensor {
  Tensor tensor;
  uint64_t offset, bytes;
};

PlacedTensor read_tensor_info(Cursor& cursor, uint64_t number, uint64_t alignment) {
  cursor.enter(fmt::format("tensor info {}: name", number));
  PlacedTensor placed{};
  placed.tensor.name = cursor.string();
  const std::string tensor = "tensor " + quote_name(placed.tensor.name);

  cursor.enter(tensor + ": rank");
  const auto rank = cursor.number<uint32_t>();
  if (rank > kMaxRank) cursor.wrong("{} is more than {}", rank, kMaxRank);
  cursor.enter(tensor + ": shape");
  for (uint32_t i = 0; i < rank; ++i) placed.tensor.shape.push_back(cursor.number<uint64_t>());
  std::ranges::reverse(placed.tensor.shape);  // the file lists the innermost extent first

  cursor.enter(tensor + ": type");
  const auto type = cursor.number<uint32_t>();
  auto format = format_of_gguf_type(type);
  if (!format) {
    const std::string_view known = gguf_type_name(type);
    if (known.empty()) cursor.wrong("{} is unknown", type);
    cursor.wrong(
        "{} ({}) is not supported; take the model in another quantisation, for example Q4_K_M or Q8_0", known,
        type);
  }
  placed.tensor.format = *format;

  cursor.enter(tensor + ": shape");
  auto bytes = byte_count(*format, placed.tensor.shape);
  if (!bytes) {
    cursor.wrong("{} of {} does not fit in whole blocks of {} elements and 64 bits",
                 shape_text(placed.tensor.shape), name(*format), info(*format).block_elements);
  }
  placed.bytes = *bytes;
  placed.tensor.elements = *element_count(placed.tensor.shape);

  cursor.enter(tensor + ": offset");
  placed.offset = cursor.number<uint64_t>();
  if (placed.offset % alignment != 0)
    cursor.wrong("{} is no multiple of the alignment {}", placed.offset, alignment);
  return placed;
}

// Gives every tensor its bytes; refuses those outside the data and those that overlap.
std::vector<Tensor> place(std::vector<PlacedTensor> placed, const std::filesystem::path& file,
                          std::span<const std::byte> data) {
  for (PlacedTensor& p : placed) {
    auto end = checked_add(p.offset, p.bytes);
    if (!end || *end > data.size()) {
      fail(file, "tensor " + quote_name(p.tensor.name) + ": offset",
           "{} and its {} bytes ({} {}) lie beyond the {} bytes of data; the file may be truncated", p.offset,
           p.bytes, name(p.tensor.format), shape_text(p.tensor.shape), data.size());
    }
    p.tensor.bytes = data.subspan(p.offset, p.bytes);
  }
  std::vector<const PlacedTensor*> by_offset;
  for (const PlacedTensor& p : placed) by_offset.push_back(&p);
  std::ranges::sort(by_offset, {}, [](const PlacedTensor* p) { return std::pair(p->offset, p->bytes); });
  uint64_t covered = 0;
  for (const PlacedTensor* p : by_offset) {
    if (p->offset < covered) {
      fail(file, "tensor " + quote_name(p->tensor.name) + ": offset",
           "{} overlaps another tensor, which ends at {}", p->offset, covered);
    }
    covered = p->offset + p->bytes;
  }
  std::vector<Tensor> tensors;
  tensors.reserve(placed.size());
  for (PlacedTensor& p : placed) tensors.push_back(std::move(p.tensor));
  return tensors;
}

}  // namespace

Gguf parse_gguf(const Source& source) {
  Cursor cursor(source.path, source.bytes);
  Gguf gguf;
  gguf.version = read_version(cursor);
  gguf.metadata = MetaData(source.path, source.owner);

  cursor.enter("tensor count");
  const uint64_t tensor_count = cursor.count(8 + 4 + 4 + 8);
  cursor.enter("key count");
  const uint64_t key_count = cursor.count(8 + 4 + 1);

  for (uint64_t i = 0; i < key_count; ++i) {
    cursor.enter(fmt::format("key {}", i));
    const std::string_view key = cursor.string();
    cursor.enter("key " + quote_name(key));
    if (!gguf.metadata.add(key, read_value(cursor))) cursor.wrong("is there twice");
  }
  gguf.alignment = read_alignment(gguf.metadata);

  std::vector<PlacedTensor> placed;
  for (uint64_t i = 0; i < tensor_count; ++i) placed.push_back(read_tensor_info(cursor, i, gguf.alignment));

  // A file without tensors (the first part of a split model may be one) may end before the padding.
  const uint64_t begin =
      std::min<uint64_t>(*checked_align_up(cursor.position(), gguf.alignment), source.bytes.size());
  gguf.tensors = TensorStore({source}, place(std::move(placed), source.path, source.bytes.subspan(begin)));
  return gguf;
}

}  // namespace rose::weights
