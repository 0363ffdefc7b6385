// What every kernel test needs: a device, data that the kernel's type can hold exactly, and comparisons whose
// tolerance follows from the types.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "ir/small_float.h"
#include "kernels/catalog.h"

namespace rose::kernels {

// The device of ROSE_TEST_DEVICE ("x86" when unset; "cuda:0" on a machine with a GPU), without a disk cache.
runtime::Context& test_context();
inline runtime::Stream& test_stream() { return test_context().stream(); }
inline bool on_gpu() { return test_context().properties().kind == runtime::DeviceProperties::Kind::kCuda; }

// Values uniform in [low, high), each rounded to dtype.
std::vector<double> random_values(ir::Type dtype, int64_t count, uint64_t seed, double low = -1,
                                  double high = 1);

runtime::Buffer upload(ir::Type dtype, const std::vector<double>& values);
std::vector<double> download(ir::Type dtype, runtime::DevicePointer from, int64_t count);
// Memory filled with a pattern that is NaN in every floating-point type, so that unwritten outputs show.
runtime::Buffer poisoned(ir::Type dtype, int64_t count);

// Every |got - want| must be at most absolute + relative * |want|; NaN never passes. Names the first few
// misses.
void expect_close(const std::vector<double>& got, const std::vector<double>& want, double absolute,
                  double relative, const std::string& what);

}  // namespace rose::kernels
