#include "runtime/x86/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <numeric>

#include "ir/target.h"
#include "test_support.h"

namespace rose::runtime {
namespace {

using Kind = ParameterInfo::Kind;
using ::testing::HasSubstr;

// out[block] += scale, with the block's linear index over a grid of grid_x × grid_y.
void add_scale(const uint64_t* arguments, int64_t x, int64_t y, int64_t z, void*) {
  auto* out = reinterpret_cast<float*>(arguments[0]);
  float scale;
  std::memcpy(&scale, &arguments[1], sizeof(scale));
  const auto grid_x = static_cast<int64_t>(arguments[2]), grid_y = static_cast<int64_t>(arguments[3]);
  out[(z * grid_y + y) * grid_x + x] += scale;
}

// Fails (writes 0) when the scratch memory is missing, misaligned or shared with a block that runs at the
// same time.
void use_scratch(const uint64_t* arguments, int64_t x, int64_t, int64_t, void* scratch) {
  auto* out = reinterpret_cast<uint32_t*>(arguments[0]);
  auto* memory = static_cast<int64_t*>(scratch);
  if (!scratch || reinterpret_cast<uintptr_t>(scratch) % 64) return;
  for (int i = 0; i < 512; ++i) memory[i] = x;
  for (int i = 0; i < 512; ++i) {
    if (memory[i] != x) return;
  }
  out[x] = 1;
}

const std::vector<ParameterInfo> kAddScale = {{"out", Kind::kPointer, 8},
                                              {"scale", Kind::kScalar, 4},
                                              {"grid_x", Kind::kScalar, 8},
                                              {"grid_y", Kind::kScalar, 8}};

class X86DeviceTest : public ::testing::TestWithParam<int> {
 protected:
  std::unique_ptr<Device> device = open_test_device(GetParam());
  std::unique_ptr<Stream> stream = device->create_stream();
};

TEST_P(X86DeviceTest, Properties) {
  const DeviceProperties& p = device->properties();
  EXPECT_EQ(p.target, "x86");
  EXPECT_EQ(p.processors, GetParam());
  EXPECT_GT(p.memory_bytes, 0u);
  EXPECT_FALSE(p.name.empty());
  EXPECT_EQ(p.features, ir::host_features().to_string());
}

TEST_P(X86DeviceTest, RunsEveryBlockOfAGrid) {
  const auto program = device->load(source_of(add_scale, kAddScale));
  for (const Grid grid : {Grid{1, 1, 1}, Grid{7, 1, 1}, Grid{5, 3, 2}, Grid{1, 1, 9}, Grid{1000, 3, 1}}) {
    const size_t bytes = grid.blocks() * sizeof(float);
    const Buffer out = device->allocate(bytes);
    stream->fill(out, 0, bytes);
    stream->launch(*program, grid, {out, 1.5f, int64_t{grid.x}, int64_t{grid.y}});
    std::vector<float> result(grid.blocks());
    stream->download(result.data(), out, bytes);
    stream->synchronize();
    for (float v : result) ASSERT_EQ(v, 1.5f);
  }
}

// The first block: out[0] += the sum of all other arguments, and the grid's size, which stands behind them.
void sum_arguments(const uint64_t* arguments, int64_t x, int64_t y, int64_t z, void*) {
  if (x + y + z > 0) return;
  auto& out = *reinterpret_cast<uint64_t*>(arguments[0]);
  for (int i = 1; i < 50; ++i) out += arguments[i];
  out += 10'000 * arguments[50] + 100'000 * arguments[51] + 1'000'000 * arguments[52];
}

TEST_P(X86DeviceTest, TakesMoreArgumentsThanFitInline) {
  std::vector<ParameterInfo> parameters = {{"out", Kind::kPointer, 8}};
  for (int i = 1; i < 50; ++i) parameters.push_back({"v" + std::to_string(i), Kind::kScalar, 8});
  const auto program = device->load(source_of(sum_arguments, parameters));
  const Buffer out = device->allocate(8);
  stream->fill(out, 0, 8);
  std::vector<Argument> arguments = {out};
  for (uint64_t i = 1; i < 50; ++i) arguments.push_back(i);
  stream->launch(*program, Grid{2, 3, 4}, arguments);
  EXPECT_EQ(*reinterpret_cast<const uint64_t*>(out.pointer().address), 4'320'000u + 49 * 50 / 2);
}

TEST_P(X86DeviceTest, EmptyGridDoesNothing) {
  const auto program = device->load(source_of(add_scale, kAddScale));
  stream->launch(*program, Grid{0, 5, 1}, {DevicePointer(uint64_t{64}), 1.5f, int64_t{0}, int64_t{0}});
}

TEST_P(X86DeviceTest, ScratchIsPrivateToARunningBlock) {
  const auto program = device->load(source_of(use_scratch, {{"out", Kind::kPointer, 8}}, 4096));
  const Buffer out = device->allocate(2000 * 4);
  stream->fill(out, 0, out.bytes());
  stream->launch(*program, Grid{2000}, {out});
  const auto* result = reinterpret_cast<const uint32_t*>(out.pointer().address);
  EXPECT_EQ(std::accumulate(result, result + 2000, 0u), 2000u);
}

TEST_P(X86DeviceTest, CopiesAndFills) {
  const Buffer a = device->allocate(1000), b = device->allocate(1000);
  std::vector<uint8_t> host(1000), back(1000);
  std::iota(host.begin(), host.end(), uint8_t{0});
  stream->upload(a, host.data(), 1000);
  stream->copy(b, a, 1000);
  stream->fill(b.pointer() + 10, 0xee, 5);
  stream->fill_words(b.pointer() + 20, 0x01020304, 8);
  stream->download(back.data(), b, 1000);
  std::memset(host.data() + 10, 0xee, 5);
  for (int i = 20; i < 28; ++i) host[static_cast<size_t>(i)] = static_cast<uint8_t>(4 - i % 4);
  EXPECT_EQ(back, host);
  EXPECT_THAT(error_of([&] { stream->fill_words(b, 0, 6); }).second, HasSubstr("multiples of 4"));
}

TEST_P(X86DeviceTest, GraphReplaysAndUpdates) {
  const auto program = device->load(source_of(add_scale, kAddScale));
  const Buffer out = device->allocate(4 * sizeof(float)), other = device->allocate(4 * sizeof(float));
  stream->fill(out, 0, out.bytes());
  stream->fill(other, 0, other.bytes());
  const auto value = [](const Buffer& b) { return reinterpret_cast<const float*>(b.pointer().address)[3]; };

  stream->begin_capture();
  stream->launch(*program, Grid{4}, {out, 1.0f, int64_t{4}, int64_t{1}});
  stream->launch(*program, Grid{4}, {out, 2.0f, int64_t{4}, int64_t{1}});
  const auto graph = stream->end_capture();
  EXPECT_EQ(graph->node_count(), 2u);
  EXPECT_EQ(value(out), 0.0f) << "a capture runs nothing";
  stream->launch(*graph);
  stream->launch(*graph);
  EXPECT_EQ(value(out), 6.0f);

  stream->begin_capture();
  stream->launch(*program, Grid{4}, {other, 1.0f, int64_t{4}, int64_t{1}});
  stream->launch(*program, Grid{4}, {other, 2.0f, int64_t{4}, int64_t{1}});
  EXPECT_TRUE(stream->end_capture(*graph)) << "same shape, other arguments";
  stream->launch(*graph);
  EXPECT_EQ(value(other), 3.0f);
  EXPECT_EQ(value(out), 6.0f);

  stream->begin_capture();
  stream->launch(*graph);  // a graph inside of a graph
  stream->fill(out, 0, out.bytes());
  EXPECT_FALSE(stream->end_capture(*graph)) << "three steps instead of two";
  EXPECT_EQ(graph->node_count(), 3u);
  stream->launch(*graph);
  EXPECT_EQ(value(other), 6.0f);
  EXPECT_EQ(value(out), 0.0f);
}

TEST_P(X86DeviceTest, PreparedLaunchCanBePatched) {
  const auto program = device->load(source_of(add_scale, kAddScale));
  const Buffer a = device->allocate(4 * 4), b = device->allocate(4 * 4);
  stream->fill(a, 0, a.bytes());
  stream->fill(b, 0, b.bytes());
  const Argument arguments[] = {a, 1.0f, int64_t{4}, int64_t{1}};
  PreparedLaunch prepared(*program, Grid{4}, arguments);
  stream->launch(prepared);
  PreparedLaunch copy = prepared;
  copy.set(copy.index_of("out"), b);
  copy.set(copy.index_of("scale"), 5.0f);
  copy.set_grid(Grid{3});
  stream->launch(copy);
  stream->launch(prepared);
  const auto* in_a = reinterpret_cast<const float*>(a.pointer().address);
  const auto* in_b = reinterpret_cast<const float*>(b.pointer().address);
  EXPECT_EQ(in_a[3], 2.0f);
  EXPECT_EQ(in_b[2], 5.0f);
  EXPECT_EQ(in_b[3], 0.0f);
  EXPECT_THAT(error_of([&] { prepared.index_of("in"); }).second, HasSubstr("no parameter 'in'"));
}

TEST_P(X86DeviceTest, WrongArgumentsNameTheParameter) {
  const auto program = device->load(source_of(add_scale, kAddScale));
  const auto message = [&](std::initializer_list<Argument> arguments) {
    const auto [kind, text] = error_of([&] { stream->launch(*program, Grid{1}, arguments); });
    EXPECT_EQ(kind, ErrorKind::kInvalidArgument);
    return text;
  };
  const DevicePointer p(uint64_t{64});
  EXPECT_THAT(message({p, 1.0f}), HasSubstr("takes 4 arguments (out, scale, grid_x, grid_y), but got 2"));
  EXPECT_THAT(
      message({p, 1.0, int64_t{1}, int64_t{1}}),
      HasSubstr("parameter 1 'scale' is a scalar of 4 bytes, but the argument is a scalar of 8 bytes"));
  EXPECT_THAT(message({1, 1.0f, int64_t{1}, int64_t{1}}), HasSubstr("'out' is a pointer, but"));
  EXPECT_THAT(message({p, Argument::scalar(uint64_t{1} << 40, 4), int64_t{1}, int64_t{1}}),
              HasSubstr("bits above its size"));
  TensorMap map;
  EXPECT_THAT(message({map, 1.0f, int64_t{1}, int64_t{1}}), HasSubstr("a tensor map"));
}

TEST_P(X86DeviceTest, ProgramsOfOtherDevicesAreRefused) {
  const auto other = open_test_device(1);
  const auto program = other->load(source_of(use_scratch, {{"out", Kind::kPointer, 8}}));
  EXPECT_THAT(error_of([&] { stream->launch(*program, Grid{1}, {DevicePointer(uint64_t{64})}); }).second,
              HasSubstr("another device"));
}

TEST_P(X86DeviceTest, RefusesWhatX86CannotRun) {
  const auto message = [&](auto change) {
    ProgramSource source = source_of(add_scale, kAddScale);
    change(source);
    const auto [kind, text] = error_of([&] { device->load(source); });
    EXPECT_EQ(kind, ErrorKind::kInvalidProgram);
    return text;
  };
  EXPECT_THAT(message([](ProgramSource& s) { s.cooperative = true; }), HasSubstr("grid barrier"));
  EXPECT_THAT(message([](ProgramSource& s) { s.threads[0] = 32; }), HasSubstr("one thread a block"));
  EXPECT_THAT(message([](ProgramSource& s) { s.target = "sm_90a"; }), HasSubstr("this device is x86"));
  EXPECT_THAT(message([](ProgramSource& s) { s.code = "?"; }), HasSubstr("not an object of this test"));
  EXPECT_THAT(message([](ProgramSource& s) { s.code = ""; }), HasSubstr("no code"));
  EXPECT_THAT(message([](ProgramSource& s) { s.parameters[1].bytes = 3; }),
              HasSubstr("'scale' cannot have 3 bytes"));
  EXPECT_THAT(message([](ProgramSource& s) { s.parameters[0] = {"map", Kind::kTensorMap, 128}; }),
              HasSubstr("'map' is a tensor map"));
  EXPECT_EQ(error_of([&] { device->encode_tensor_map({}); }).first, ErrorKind::kUnsupported);
}

TEST_P(X86DeviceTest, EventsMeasureTime) {
  const auto start = device->create_event(), end = device->create_event(),
             untimed = device->create_event(false);
  EXPECT_THAT(error_of([&] { end->seconds_since(*start); }).second, HasSubstr("recorded"));
  stream->record(*start);
  stream->record(*end);
  stream->record(*untimed);
  EXPECT_GE(end->seconds_since(*start), 0.0);
  EXPECT_TRUE(end->ready());
  EXPECT_THAT(error_of([&] { end->seconds_since(*untimed); }).second, HasSubstr("with timing"));
}

TEST_P(X86DeviceTest, MemoryIsAlignedCountedAndRefused) {
  {
    std::vector<Buffer> buffers;
    for (size_t bytes : {1, 63, 100, 5'000'000}) {
      buffers.push_back(device->allocate(bytes));
      EXPECT_EQ(buffers.back().pointer().address % 64, 0u);
      EXPECT_EQ(buffers.back().bytes(), bytes);
    }
    EXPECT_EQ(device->memory_use().pool_used_bytes, 1u + 63 + 100 + 5'000'000);
    Buffer moved = std::move(buffers[0]);
    EXPECT_FALSE(buffers[0]);
    EXPECT_TRUE(moved);
    moved = std::move(buffers[1]);
    EXPECT_EQ(device->memory_use().pool_used_bytes, 63u + 100 + 5'000'000)
        << "assignment frees the old memory";
  }
  EXPECT_EQ(device->memory_use().pool_used_bytes, 0u);
  EXPECT_FALSE(device->allocate(0));
  EXPECT_EQ(error_of([&] { device->allocate(size_t{1} << 60); }).first, ErrorKind::kOutOfMemory);
  EXPECT_EQ(error_of([&] { device->allocate(SIZE_MAX); }).first, ErrorKind::kOutOfMemory);
}

TEST_P(X86DeviceTest, BuffersMayOutliveTheDevice) {
  const Buffer buffer = device->allocate(100);
  stream.reset();
  device.reset();
  std::memset(reinterpret_cast<void*>(buffer.pointer().address), 1, 100);
}

INSTANTIATE_TEST_SUITE_P(Threads, X86DeviceTest, ::testing::Values(1, 2, 5));

}  // namespace
}  // namespace rose::runtime
