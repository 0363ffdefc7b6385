#include "weights/random.h"

#include <unistd.h>

#include <algorithm>
#include <random>

#include "weights/checked.h"
#include "weights/error.h"
#include "weights/scalar.h"

namespace rose::weights {
namespace {

constexpr float kDeviation = 0.02F;
constexpr uint64_t kAlignment = 64;           // of tensors
constexpr size_t kPatternPages = 4099;        // a prime: 16.8 MB
constexpr size_t kLargePatternPages = 32771;  // the same for models of terabytes: fewer mappings
constexpr size_t kMostMappings = 20000;       // Linux allows a process 65530 if nobody has changed it

// Normal numbers, drawn from a table: generating them one by one would take longer than loading them.
class Normal {
 public:
  Normal() : table_(1 << 16) {
    std::normal_distribution<float> normal(0, kDeviation);
    for (float& value : table_) value = normal(engine_);
  }
  float operator()() {
    if (left_ == 0) bits_ = engine_(), left_ = 4;
    --left_;
    const auto index = static_cast<uint16_t>(bits_ >> (16 * left_));
    return table_[index];
  }

 private:
  std::mt19937_64 engine_{20261125};
  std::vector<float> table_;
  uint64_t bits_ = 0;
  int left_ = 0;
};

void append(std::vector<std::byte>& bytes, uint16_t code) {
  bytes.push_back(static_cast<std::byte>(code & 0xff));
  bytes.push_back(static_cast<std::byte>(code >> 8));
}

std::vector<std::byte> pattern(Normal& normal, uint64_t total) {
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  size_t pages = total / (kPatternPages * page) > kMostMappings ? kLargePatternPages : kPatternPages;
  pages = std::min<size_t>(pages, total / page + 1);
  std::vector<std::byte> bytes;
  bytes.reserve(pages * page);
  while (bytes.size() < pages * page) append(bytes, float_to_bfloat16(normal()));
  return bytes;
}

}  // namespace

TensorStore random_tensors(const std::filesystem::path& path, const std::vector<RandomTensor>& wanted) {
  Normal normal;
  std::vector<Tensor> tensors;
  std::vector<uint64_t> places;
  std::vector<std::byte> vectors;
  uint64_t matrix_bytes = 0;
  for (const RandomTensor& r : wanted) {
    Tensor tensor;
    tensor.name = r.name, tensor.shape = r.shape, tensor.format = Format::kBF16;
    const auto bytes = byte_count(Format::kBF16, r.shape);
    const auto after = bytes ? checked_align_up(*bytes, kAlignment) : std::nullopt;
    const auto total = after ? checked_add(matrix_bytes, *after) : std::nullopt;
    if (!total || *total > uint64_t{1} << 46)
      fail(path, "tensor " + quote_name(r.name), "of shape {} is too large", shape_text(r.shape));
    tensor.elements = *bytes / 2;
    tensor.source = r.shape.size() >= 2 ? 0 : 1;
    if (tensor.source == 0) {
      places.push_back(matrix_bytes);
      matrix_bytes = *total;
    } else {
      if (tensor.elements > 1 << 24)
        fail(path, "tensor " + quote_name(r.name), "has {} elements", tensor.elements);
      places.push_back(vectors.size());
      for (uint64_t i = 0; i < tensor.elements; ++i) append(vectors, float_to_bfloat16(r.center + normal()));
    }
    tensors.push_back(std::move(tensor));
  }
  std::vector<Source> sources;
  sources.push_back({path, {}, MappedFile::repeat(path, pattern(normal, matrix_bytes), matrix_bytes)});
  sources.push_back({path, {}, MappedFile::repeat(path, vectors, vectors.size())});
  for (Source& source : sources) source.bytes = source.owner->bytes();
  for (size_t i = 0; i < tensors.size(); ++i)
    tensors[i].bytes = sources[tensors[i].source].bytes.subspan(places[i], tensors[i].elements * 2);
  return TensorStore(std::move(sources), std::move(tensors));
}

}  // namespace rose::weights
