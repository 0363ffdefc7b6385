// How the command measures: medians of samples, launches repeated on a device, and the memory's own speed.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "runtime/context.h"

namespace rose::cli {

// The middle value (the mean of both middle values of an even number); values must not be empty.
double median(std::vector<double> values);

// Median seconds of `work` called on the host: at least `samples` calls and at least `least_seconds` in all.
double median_seconds_of_call(const std::function<void()>& work, int samples, double least_seconds);

// Seconds of one `launch` on the context's device: median over samples of several launches each, after a
// warm-up. On a GPU the launches are one graph between two events, so what is measured is the device, not the
// host.
double median_seconds_on_device(runtime::Context& context,
                                const std::function<void(runtime::Stream&)>& launch);

// What the memory of the device does, in bytes a second, measured now with buffers beyond all caches.
struct MemorySpeed {
  double copy = 0;  // bytes read plus bytes written
  double read = 0;  // by a kernel (x86: threads) that only reads
};
MemorySpeed measure_memory(runtime::Context& context);

// Operations a second (a multiply-add counts two) of our own large matrix product: on a GPU bf16, 8192 x 8192
// x 8192; on x86 1024 x 2048 x 2048 with weights in the x86 format `weights`, exact or not
// (kernels/gemm/x86_gemm.h). `what` becomes its description.
double measure_matrix(runtime::Context& context, const std::string& weights, bool exact, std::string& what);

}  // namespace rose::cli
