// libFuzzer target: any bytes are either read as a GGUF file, with every value and tensor usable, or refused
// with a WeightsError.
#include <cstdint>
#include <cstdlib>

#include "weights/dequantize.h"
#include "weights/error.h"
#include "weights/gguf.h"
#include "weights/gguf_tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace rose::weights;
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  try {
    const Gguf file = parse_gguf({"fuzz", bytes, nullptr});
    for (const auto& [key, value] : file.metadata.entries()) value.to_text();
    for (const Tensor& tensor : file.tensors) {
      if (dequantize(tensor).size() != tensor.elements) std::abort();
    }
    read_tokenizer(file.metadata);
  } catch (const WeightsError&) {
  }
  return 0;
}
