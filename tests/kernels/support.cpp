#include "support.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>

namespace rose::kernels {

runtime::Context& test_context() {
  static const std::unique_ptr<runtime::Context> context = [] {
    const char* device = std::getenv("ROSE_TEST_DEVICE");
    runtime::ContextOptions options;
    options.device = device ? device : "x86";
    options.cache.disk = false;
    return runtime::open_context(std::move(options));
  }();
  return *context;
}

std::vector<double> random_values(ir::Type dtype, int64_t count, uint64_t seed, double low, double high) {
  std::mt19937_64 engine(seed);
  std::uniform_real_distribution<double> uniform(low, high);
  std::vector<double> values(static_cast<size_t>(count));
  for (double& v : values) v = ir::value_of(dtype, ir::bits_of(dtype, uniform(engine)));
  return values;
}

runtime::Buffer upload(ir::Type dtype, const std::vector<double>& values) {
  size_t width = static_cast<size_t>(dtype.bits() / 8);
  std::vector<uint8_t> bytes(values.size() * width);
  for (size_t i = 0; i < values.size(); ++i) {
    uint64_t pattern = ir::bits_of(dtype, values[i]);
    std::memcpy(&bytes[i * width], &pattern, width);
  }
  auto buffer = test_context().device().allocate(bytes.size());
  test_stream().upload(buffer, bytes.data(), bytes.size());
  test_stream().synchronize();
  return buffer;
}

std::vector<double> download(ir::Type dtype, runtime::DevicePointer from, int64_t count) {
  size_t width = static_cast<size_t>(dtype.bits() / 8), n = static_cast<size_t>(count);
  std::vector<uint8_t> bytes(n * width);
  test_stream().download(bytes.data(), from, bytes.size());
  test_stream().synchronize();
  std::vector<double> values(n);
  for (size_t i = 0; i < n; ++i) {
    uint64_t pattern = 0;
    std::memcpy(&pattern, &bytes[i * width], width);
    values[i] = ir::value_of(dtype, pattern);
  }
  return values;
}

runtime::Buffer poisoned(ir::Type dtype, int64_t count) {
  auto buffer = test_context().device().allocate(static_cast<size_t>(count * dtype.bits() / 8));
  test_stream().fill(buffer, 0xff, buffer.bytes());
  test_stream().synchronize();
  return buffer;
}

void expect_close(const std::vector<double>& got, const std::vector<double>& want, double absolute,
                  double relative, const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  int misses = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    double allowed = absolute + relative * std::abs(want[i]);
    if (std::abs(got[i] - want[i]) <= allowed) continue;
    if (++misses <= 5)
      ADD_FAILURE() << fmt::format(
          "{}: element {} is {:.9g}, should be {:.9g}; the difference {:.3g} is above {:.3g}", what, i,
          got[i], want[i], std::abs(got[i] - want[i]), allowed);
  }
  EXPECT_EQ(misses, 0) << what << ": " << misses << " of " << got.size() << " elements";
}

}  // namespace rose::kernels
