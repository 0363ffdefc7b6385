// Our side of the CUDA driver interface, against a driver made of ordinary memory (fake_cuda.h).
#include "runtime/cuda/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "fake_cuda.h"
#include "runtime/context.h"
#include "runtime/cuda/jit_log.h"
#include "test_support.h"

namespace rose::runtime {
namespace {

using Kind = ParameterInfo::Kind;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

ProgramSource ptx_source() {
  ProgramSource source;
  source.target = "sm_90a";
  source.entry = "rms_norm";
  source.code = "// PTX text";
  source.parameters = {{"x", Kind::kPointer, 8}, {"rows", Kind::kScalar, 4}};
  source.threads = {256, 1, 1};
  return source;
}

class CudaDeviceTest : public ::testing::Test {
 protected:
  std::unique_ptr<Device> open() { return open_cuda_device(fake.driver(), 0, log.function()); }

  FakeCuda fake;
  LogKeeper log;
};

TEST_F(CudaDeviceTest, PropertiesAndTargets) {
  const auto device = open();
  const DeviceProperties& p = device->properties();
  EXPECT_EQ(p.name, "Fake H200");
  EXPECT_EQ(p.target, "sm_90a");
  EXPECT_EQ(p.capability, 90);
  EXPECT_EQ(p.processors, 132);
  EXPECT_EQ(p.max_shared_bytes, 232448u);
  EXPECT_NEAR(p.memory_bytes_per_second, 4.917e12, 1e9);
  fake->capability = 100;
  EXPECT_EQ(open()->properties().target, "sm_100a");
  fake->capability = 103;
  EXPECT_EQ(open()->properties().target, "sm_103a");
}

TEST_F(CudaDeviceTest, UnusableDriversAndDevicesSayWhatToDo) {
  fake->capability = 89;
  auto [kind, text] = error_of([&] { open(); });
  EXPECT_EQ(kind, ErrorKind::kUnsupportedDevice);
  EXPECT_THAT(text, HasSubstr("compute capability 8.9"));
  EXPECT_THAT(text, HasSubstr("x86 device"));

  fake->capability = 100;
  fake->version = 12080;
  std::tie(kind, text) = error_of([&] { open(); });
  EXPECT_EQ(kind, ErrorKind::kDriverTooOld);
  EXPECT_THAT(text, HasSubstr("driver 575 or newer (CUDA 12.9); this driver is of CUDA 12.8"));
  fake->capability = 90;
  EXPECT_NO_THROW(open()) << "Hopper is content with 12.7";

  fake->version = 12020;
  std::tie(kind, text) = error_of([&] { open(); });
  EXPECT_EQ(kind, ErrorKind::kDriverTooOld);
  EXPECT_THAT(text, HasSubstr("of CUDA 12.2; install NVIDIA driver 565 or newer (CUDA 12.7)"));

  fake->version = 13000;
  std::tie(kind, text) = error_of([&] { open_cuda_device(fake.driver(), 3, log.function()); });
  EXPECT_EQ(kind, ErrorKind::kNoDevice);
  EXPECT_THAT(text, HasSubstr("no cuda:3; the driver shows 1 GPU(s)"));

  fake->fail["Init"] = cuda::kNoDevice;
  EXPECT_EQ(error_of([&] { open(); }).first, ErrorKind::kNoDevice);
  fake->fail["Init"] = cuda::kSystemDriverMismatch;
  std::tie(kind, text) = error_of([&] { open(); });
  EXPECT_EQ(kind, ErrorKind::kMissingDriver);
  EXPECT_THAT(text, HasSubstr("reboot"));
}

TEST_F(CudaDeviceTest, MissingLibraryIsAMissingDriver) {
  const auto [kind, text] = error_of([] { open_cuda_driver("libcuda-that-is-not-there.so.1"); });
  EXPECT_EQ(kind, ErrorKind::kMissingDriver);
  EXPECT_THAT(text, HasSubstr("libcuda-that-is-not-there.so.1"));
  EXPECT_THAT(text, HasSubstr("install NVIDIA driver 565 or newer"));
  // A library that is no driver at all, but is on every Linux.
  EXPECT_EQ(error_of([] { open_cuda_driver("libc.so.6"); }).first, ErrorKind::kDriverTooOld);
}

TEST_F(CudaDeviceTest, LaunchPassesGridThreadsArgumentsAndAttributes) {
  const auto device = open();
  ProgramSource source = ptx_source();
  source.cluster = {2, 1, 1};
  source.cooperative = source.pdl = true;
  source.shared_bytes = 100'000;
  source.threads = {128, 2, 1};
  const auto program = device->load(source);
  EXPECT_EQ(fake->image, source.code);
  EXPECT_EQ(fake->function_attributes[cuda::kFunctionMaxDynamicShared], 100'000);

  fake->parameter_count = 2;
  const auto stream = device->create_stream();
  stream->launch(*program, Grid{4, 3, 2}, {DevicePointer(uint64_t{0x1000}), uint32_t{77}});
  ASSERT_EQ(fake->launches.size(), 1u);
  const FakeLaunch& l = fake->launches[0];
  EXPECT_EQ(l.entry, "rms_norm");
  EXPECT_THAT(l.grid, ::testing::ElementsAre(4u, 3u, 2u));
  EXPECT_THAT(l.block, ::testing::ElementsAre(128u, 2u, 1u));
  EXPECT_EQ(l.shared_bytes, 100'000u);
  EXPECT_EQ(l.slots[0], 0x1000u);
  EXPECT_EQ(static_cast<uint32_t>(l.slots[1]), 77u);
  ASSERT_EQ(l.attributes.size(), 3u);
  EXPECT_EQ(l.attributes[0].id, cuda::kLaunchClusterDimension);
  EXPECT_EQ(l.attributes[0].value.cluster.x, 2u);
  EXPECT_EQ(l.attributes[0].value.cluster.y, 1u);
  EXPECT_EQ(l.attributes[1].id, cuda::kLaunchCooperative);
  EXPECT_EQ(l.attributes[1].value.cooperative, 1);
  EXPECT_EQ(l.attributes[2].id, cuda::kLaunchProgrammaticSerialization);
  EXPECT_EQ(l.attributes[2].value.programmatic_serialization, 1);

  EXPECT_THAT(error_of([&] { stream->launch(*program, Grid{3}, {DevicePointer(), uint32_t{1}}); }).second,
              HasSubstr("clusters of 2×1×1 do not divide"));
  EXPECT_THAT(
      error_of([&] { stream->launch(*program, Grid{2, 70000}, {DevicePointer(), uint32_t{1}}); }).second,
      HasSubstr("65535"));
  stream->launch(*program, Grid{0}, {DevicePointer(), uint32_t{1}});
  EXPECT_EQ(fake->launches.size(), 1u) << "an empty grid is no launch";
}

TEST_F(CudaDeviceTest, PreparedLaunchPassesTensorMapsByValue) {
  const auto device = open();
  ProgramSource source = ptx_source();
  source.parameters = {{"map", Kind::kTensorMap, 128}, {"out", Kind::kPointer, 8}};
  const auto program = device->load(source);
  fake->parameter_count = 2;
  const auto stream = device->create_stream();
  TensorMap map;
  map.words[0] = 11;
  const Argument arguments[] = {map, DevicePointer(uint64_t{22})};
  PreparedLaunch prepared(*program, Grid{1}, arguments);
  map.words[0] = 0;  // the launch has its own copy
  stream->launch(prepared);
  TensorMap other;
  other.words[0] = 33;
  PreparedLaunch second = prepared;
  second.set(0, other);
  second.set(1, DevicePointer(uint64_t{44}));
  stream->launch(second);
  PreparedLaunch moved = std::move(second);
  stream->launch(moved);
  stream->launch(prepared);
  ASSERT_EQ(fake->launches.size(), 4u);
  EXPECT_THAT(fake->launches[0].slots, ::testing::ElementsAre(11u, 22u));
  EXPECT_THAT(fake->launches[1].slots, ::testing::ElementsAre(33u, 44u));
  EXPECT_THAT(fake->launches[2].slots, ::testing::ElementsAre(33u, 44u));
  EXPECT_THAT(fake->launches[3].slots, ::testing::ElementsAre(11u, 22u));
}

TEST_F(CudaDeviceTest, LaunchErrorsShowTheLaunch) {
  const auto device = open();
  const auto program = device->load(ptx_source());
  const auto stream = device->create_stream();
  const auto launch = [&] { stream->launch(*program, Grid{9}, {DevicePointer(), uint32_t{1}}); };
  fake->fail["LaunchKernelEx"] = cuda::kCooperativeTooLarge;
  auto [kind, text] = error_of(launch);
  EXPECT_EQ(kind, ErrorKind::kInvalidArgument);
  EXPECT_THAT(text, HasSubstr("launching 'rms_norm' with 9×1×1 blocks of 256×1×1 threads"));
  EXPECT_THAT(text, HasSubstr("resident_blocks"));
  fake->fail["LaunchKernelEx"] = cuda::kIllegalAddress;
  std::tie(kind, text) = error_of(launch);
  EXPECT_EQ(kind, ErrorKind::kLost);
  EXPECT_THAT(text, HasSubstr("restart the process"));
}

TEST_F(CudaDeviceTest, AssemblerMessagesReachTheCaller) {
  const auto device = open();
  fake->info_log =
      "ptxas info    : 0 bytes gmem\n"
      "ptxas info    : (C7508) Potential Performance Loss: 'setmaxnreg' ignored to maintain minimum "
      "register.\n"
      "ptxas info    : Function properties for rms_norm\n"
      "    8 bytes stack frame, 4 bytes spill stores, 0 bytes spill loads\n"
      "ptxas info    : Used 168 registers";
  fake->registers = 168;
  const auto program = device->load(ptx_source());
  const ProgramAttributes& a = program->attributes();
  EXPECT_EQ(a.registers, 168);
  EXPECT_EQ(a.static_shared_bytes, 1024);
  ASSERT_EQ(a.warnings.size(), 2u);
  EXPECT_THAT(a.warnings[0], HasSubstr("C7508"));
  EXPECT_THAT(a.warnings[1], HasSubstr("4 bytes spill stores"));
  EXPECT_EQ(log.count(LogLevel::kWarning), 2u);
  EXPECT_THAT(a.log, HasSubstr("Used 168 registers"));

  fake->info_log.clear();  // as from the driver's cache
  fake->local_bytes = 40;
  EXPECT_THAT(device->load(ptx_source())->attributes().warnings,
              ::testing::ElementsAre(HasSubstr("40 bytes of stack")));

  fake->fail["ModuleLoadDataEx"] = cuda::kInvalidPtx;
  fake->error_log = "ptxas application ptx input, line 7; error: Unknown symbol 'y'";
  const auto [kind, text] = error_of([&] { device->load(ptx_source()); });
  EXPECT_EQ(kind, ErrorKind::kInvalidProgram);
  EXPECT_THAT(text, HasSubstr("compiling 'rms_norm' for sm_90a on cuda:0 Fake H200"));
  EXPECT_THAT(text, HasSubstr("line 7; error: Unknown symbol 'y'"));
}

TEST(AssemblerWarningsTest, FindsOnlyWhatCosts) {
  EXPECT_TRUE(cuda::assembler_warnings("").empty());
  EXPECT_TRUE(cuda::assembler_warnings("ptxas info : Compiling entry function 'k' for 'sm_90a'\n"
                                       "    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
                                       "ptxas info : Used 24 registers, used 1 barriers")
                  .empty());
  EXPECT_EQ(
      cuda::assembler_warnings("    0 bytes stack frame, 0 bytes spill stores, 120 bytes spill loads").size(),
      1u);
  EXPECT_EQ(cuda::assembler_warnings("16 bytes stack frame").size(), 1u);
  EXPECT_EQ(
      cuda::assembler_warnings("ptxas warning : something\n\nptxas info : (C7519) wait inserted\n(C7").size(),
      2u);
}

TEST_F(CudaDeviceTest, LoadRefusesWhatCannotRun) {
  const auto device = open();
  ProgramSource source = ptx_source();
  source.target = "sm_100a";
  EXPECT_THAT(error_of([&] { device->load(source); }).second,
              HasSubstr("is for sm_100a, but cuda:0 Fake H200 runs sm_90a"));
  source = ptx_source();
  source.shared_bytes = 232448;
  const auto [kind, text] = error_of([&] { device->load(source); });
  EXPECT_EQ(kind, ErrorKind::kInvalidProgram);
  EXPECT_THAT(text, HasSubstr("needs 233472 bytes of shared memory (232448 dynamic + 1024 static)"));
  source = ptx_source();
  source.threads = {1025, 1, 1};
  EXPECT_THAT(error_of([&] { device->load(source); }).second, HasSubstr("1025×1×1 threads"));
  source = ptx_source();
  source.cluster = {16, 1, 1};
  device->load(source);
  EXPECT_EQ(fake->function_attributes[cuda::kFunctionNonPortableCluster], 1);
}

TEST_F(CudaDeviceTest, LoadTriesAgainAfterTrimmingThePool) {
  const auto device = open();
  fake->fail["ModuleLoadDataEx"] = cuda::kOutOfMemory;
  fake->fail_times["ModuleLoadDataEx"] = 1;
  EXPECT_NO_THROW(device->load(ptx_source()));
  EXPECT_THAT(fake->calls, Contains("MemPoolTrimTo"));
  fake->fail_times["ModuleLoadDataEx"] = 2;
  EXPECT_EQ(error_of([&] { device->load(ptx_source()); }).first, ErrorKind::kOutOfMemory);
}

TEST_F(CudaDeviceTest, ResidentBlocks) {
  const auto device = open();
  ProgramSource source = ptx_source();
  EXPECT_EQ(device->resident_blocks(*device->load(source)), 2048u / 256 * 132);
  source.cluster = {2, 1, 1};
  EXPECT_EQ(device->resident_blocks(*device->load(source)), 66u * 2);
}

TEST_F(CudaDeviceTest, MemoryComesFromThePoolAndGoesBack) {
  for (const bool pools : {true, false}) {
    fake->pools = pools;
    fake->calls.clear();
    auto device = open();
    auto stream = device->create_stream();
    {
      const Buffer a = device->allocate(1000), b = device->allocate(2000, *stream),
                   c = device->allocate_dedicated(3000);
      const HostBuffer h = device->allocate_host(500);
      EXPECT_EQ(fake->live_bytes, 6500u);
      EXPECT_THAT(fake->calls,
                  pools ? testing::Matcher<std::vector<std::string>>(Contains("MemAllocFromPoolAsync"))
                        : Not(Contains("MemAllocFromPoolAsync")));
      std::memset(h.data(), 7, h.bytes());
      stream->upload(a, h.data(), 500);
      stream->copy(b, a, 500);
      uint8_t back[500] = {};
      stream->download(back, b, 500);
      EXPECT_EQ(back[499], 7);
    }
    EXPECT_EQ(fake->live_bytes, 0u);
    stream.reset();
    device.reset();
    EXPECT_EQ(fake->live_handles, 0) << "streams, pools and the context are given back";
  }
}

TEST_F(CudaDeviceTest, OutOfMemorySaysHowMuchIsFree) {
  const auto device = open();
  const Buffer most = device->allocate(fake->memory / 2);
  auto [kind, text] = error_of([&] { device->allocate(fake->memory); });
  EXPECT_EQ(kind, ErrorKind::kOutOfMemory);
  EXPECT_THAT(
      text,
      HasSubstr("allocating 1.000 GiB of device memory on cuda:0 Fake H200 (0.50 of 1.00 GiB are free"));
  fake->calls.clear();
  EXPECT_EQ(error_of([&] { device->allocate_dedicated(fake->memory); }).first, ErrorKind::kOutOfMemory);
  EXPECT_THAT(fake->calls, ::testing::ElementsAre("MemAlloc", "MemPoolTrimTo", "MemAlloc"));
  EXPECT_EQ(error_of([&] { device->allocate_host(fake->memory); }).first, ErrorKind::kOutOfMemory);
}

TEST_F(CudaDeviceTest, BuffersAndProgramsMayOutliveTheDevice) {
  auto device = open();
  auto program = device->load(ptx_source());
  Buffer buffer = device->allocate(100);
  device.reset();
  buffer.reset();
  program.reset();
  EXPECT_EQ(fake->live_handles, 0);
  EXPECT_EQ(fake->live_bytes, 0u);
}

TEST_F(CudaDeviceTest, GraphsAreCapturedUpdatedAndBuiltAgain) {
  auto device = open();
  auto stream = device->create_stream();
  auto program = device->load(ptx_source());
  const auto launch = [&] { stream->launch(*program, Grid{1}, {DevicePointer(), uint32_t{1}}); };
  stream->begin_capture();
  launch();
  launch();
  EXPECT_THAT(error_of([&] { device->allocate(100, *stream); }).second,
              HasSubstr("while the stream is captured"));
  auto graph = stream->end_capture();
  EXPECT_TRUE(fake->launches.empty());
  EXPECT_EQ(graph->node_count(), 2u);

  stream->begin_capture();
  launch();
  launch();
  EXPECT_TRUE(stream->end_capture(*graph));
  stream->begin_capture();
  launch();
  EXPECT_FALSE(stream->end_capture(*graph));
  EXPECT_EQ(graph->node_count(), 1u);
  fake->calls.clear();
  stream->launch(*graph);
  EXPECT_THAT(fake->calls, ::testing::ElementsAre("GraphLaunch"));

  fake->fail["GraphInstantiate"] = cuda::kOutOfMemory;
  stream->begin_capture();
  launch();
  EXPECT_EQ(error_of([&] { stream->end_capture(); }).first, ErrorKind::kOutOfMemory);
  graph.reset();
  program.reset();
  stream.reset();
  device.reset();
  EXPECT_EQ(fake->live_handles, 0) << "nothing leaks, also when instantiating fails";
}

TEST_F(CudaDeviceTest, MemoryFreedDuringACaptureDoesNotBecomePartOfTheGraph) {
  const auto device = open();
  const auto stream = device->create_stream();
  Buffer buffer = device->allocate(100, *stream);
  stream->begin_capture();
  buffer.reset();
  const auto graph = stream->end_capture();
  EXPECT_EQ(graph->node_count(), 0u);
  EXPECT_EQ(fake->live_bytes, 0u);
}

TEST_F(CudaDeviceTest, Events) {
  const auto device = open();
  const auto stream = device->create_stream(StreamPriority::kHigh);
  const auto start = device->create_event(), end = device->create_event(),
             untimed = device->create_event(false);
  stream->record(*start);
  stream->wait(*start);
  stream->record(*end);
  EXPECT_DOUBLE_EQ(end->seconds_since(*start), 2.5e-3);
  EXPECT_THAT(error_of([&] { end->seconds_since(*untimed); }).second, HasSubstr("without timing"));
  fake->fail["EventQuery"] = cuda::kNotReady;
  EXPECT_FALSE(end->ready());
  fake->fail["StreamQuery"] = cuda::kNotReady;
  EXPECT_FALSE(stream->idle());
  fake->fail["StreamQuery"] = cuda::kLaunchFailed;
  EXPECT_EQ(error_of([&] { stream->idle(); }).first, ErrorKind::kLost);

  const auto x86 = open_test_device(1);
  const auto foreign = x86->create_event();
  EXPECT_THAT(error_of([&] { stream->record(*foreign); }).second, HasSubstr("another device"));
}

TEST_F(CudaDeviceTest, SmallTensorsGetTheBitOfOldDriversCleared) {
  TensorMapSpec spec;
  spec.base = DevicePointer(uint64_t{0x10000});
  spec.rank = 2;
  spec.dims = {64, 1023};
  spec.strides = {128};
  spec.box = {64, 8};
  spec.swizzle = TensorMapSwizzle::k128Bytes;
  const auto bit = [&](uint64_t rows, int version) {
    fake->version = version;
    spec.dims[1] = rows;
    const TensorMap map = open()->encode_tensor_map(spec);
    EXPECT_EQ(map.words[0], 0x10000u);
    EXPECT_EQ(map.words[2], uint64_t{9} << 32 | 2);
    return map.words[1] >> 21 & 1;
  };
  EXPECT_EQ(bit(1023, 13000), 0u) << "128 bytes below 128 KiB";
  EXPECT_EQ(bit(1024, 13000), 1u) << "just 128 KiB";
  EXPECT_EQ(bit(1, 13010), 0u);
  EXPECT_EQ(bit(1, 13020), 1u) << "newer drivers are right";
  spec.box[0] = 128;
  EXPECT_THAT(error_of([&] { open()->encode_tensor_map(spec); }).second,
              HasSubstr("above the 128 bytes of the swizzle"));
}

TEST_F(CudaDeviceTest, ContextChoosesTheDevice) {
  const auto context = [&](const std::string& device) {
    ContextOptions options;
    options.device = device;
    options.driver = fake.driver();
    options.log = log.function();
    options.cache.disk = false;
    options.x86.threads = 1;
    return std::make_unique<Context>(std::move(options));
  };
  EXPECT_EQ(context("auto")->properties().target, "sm_90a");
  EXPECT_EQ(context("cuda")->properties().target, "sm_90a");
  EXPECT_EQ(context("cuda:0")->properties().target, "sm_90a");
  EXPECT_EQ(context("x86")->properties().target, "x86");
  EXPECT_EQ(error_of([&] { context("cuda:1"); }).first, ErrorKind::kNoDevice);
  for (const char* wrong : {"", "gpu", "cuda:", "cuda:x", "cuda:0x", "cuda0"}) {
    EXPECT_EQ(error_of([&] { context(wrong); }).first, ErrorKind::kInvalidArgument) << wrong;
  }
  fake->capability = 80;
  EXPECT_EQ(context("auto")->properties().target, "x86");
  EXPECT_THAT(log.all(), HasSubstr("running on x86: Fake H200 has compute capability 8.0"));
  EXPECT_EQ(error_of([&] { context("cuda"); }).first, ErrorKind::kUnsupportedDevice);
  EXPECT_GE(describe_devices().size(), 2u);
}

}  // namespace
}  // namespace rose::runtime
