// How the command measures: medians of samples, launches repeated on a device, and the memory's own speed.
#pragma once

#include <functional>
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
  double read = 0;  // x86 only; 0 on a GPU
};
MemorySpeed measure_memory(runtime::Context& context);

}  // namespace rose::cli
