#include "test_support.h"

#include <charconv>
#include <stdexcept>

namespace rose::runtime {

namespace {

LoadedObject load_object(std::string_view object, std::string_view) {
  constexpr std::string_view kPrefix = "call ";
  uint64_t address = 0;
  if (!object.starts_with(kPrefix)) throw std::runtime_error("not an object of this test");
  std::from_chars(object.data() + kPrefix.size(), object.data() + object.size(), address);
  return {reinterpret_cast<X86Entry>(address), nullptr};
}

}  // namespace

std::unique_ptr<Device> open_test_device(int threads) {
  X86DeviceOptions options;
  options.threads = threads;
  options.loader = load_object;
  return open_x86_device(options);
}

ProgramSource source_of(X86Entry function, std::vector<ParameterInfo> parameters, uint64_t scratch_bytes) {
  ProgramSource source;
  source.target = "x86";
  source.entry = "test_entry";
  source.code = "call " + std::to_string(reinterpret_cast<uint64_t>(function));
  source.parameters = std::move(parameters);
  source.scratch_bytes = scratch_bytes;
  return source;
}

}  // namespace rose::runtime
