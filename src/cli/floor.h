// What a step of a model must move and do, whatever computes it: the floor that measurements are held
// against.
#pragma once

#include <cstdint>

#include "models/decoder.h"
#include "models/encoder.h"

namespace rose::cli {

// Bytes that must be read from the device's memory, and operations (a multiply-add counts two).
struct Work {
  double bytes = 0, operations = 0;
};

// What a device does at best, measured.
struct Ceilings {
  double read = 0;    // bytes a second of memory that is only read
  double matrix = 0;  // operations a second of a large matrix product
};

// The longer of both times, in seconds.
double floor_seconds(const Work& work, const Ceilings& ceilings);
// "memory" or "matrix": which of them it is.
const char* bound_of(const Work& work, const Ceilings& ceilings);

// Elements of the matrices that a step multiplies with: all layers and the output head, without the table of
// embeddings, of which a step reads single rows.
double multiplied_elements(const models::DecoderConfig& config);

// One token more for each of `batch` sequences that hold `length` keys: all weights once, and the keys and
// values that their layers see.
Work decode_work(const models::DecoderConfig& config, double weight_bytes, double cache_bytes_per_token,
                 int64_t batch, int64_t length);
// The `prompt` tokens of each of `batch` sequences, and logits of the last one. All weights once; keys and
// values are counted as if they never left the chip, operations of attention without those that a mask or a
// window leaves out.
Work prompt_work(const models::DecoderConfig& config, double weight_bytes, int64_t batch, int64_t prompt);
// `batch` texts of `tokens` tokens that see all of each other (or half a window to both sides).
Work encoder_work(const models::EncoderConfig& config, double weight_bytes, int64_t batch, int64_t tokens);

}  // namespace rose::cli
