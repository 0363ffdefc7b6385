// libFuzzer target: any bytes are either read as a safetensors file, with every tensor usable, or refused
// with a WeightsError.
#include <cstdint>
#include <cstdlib>

#include "weights/dequantize.h"
#include "weights/error.h"
#include "weights/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace rose::weights;
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  try {
    const Safetensors file = parse_safetensors({"fuzz", bytes, nullptr});
    if (file.tensors.total_bytes() > size) std::abort();
    for (const Tensor& tensor : file.tensors) {
      if (dequantize(tensor).size() != tensor.elements) std::abort();
    }
  } catch (const WeightsError&) {
  }
  return 0;
}
