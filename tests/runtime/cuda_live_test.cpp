// The CUDA side on a real GPU. Skips, saying why, where there is none: most machines that run these tests.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <numeric>

#include "live_kernels.h"
#include "runtime/context.h"
#include "test_support.h"

namespace rose::runtime {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;

class CudaLiveTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ContextOptions options;
    options.device = "cuda";
    options.log = log.function();
    options.cache.folder = folder.path();
    try {
      context = std::make_unique<Context>(std::move(options));
    } catch (const DeviceError& error) {
      GTEST_SKIP() << "no usable GPU: " << error.what();
    }
  }
  Device& device() { return context->device(); }
  Stream& stream() { return context->stream(); }
  const std::string& target() { return context->properties().target; }

  template <class Value>
  std::vector<Value> read(DevicePointer from, size_t count) {
    std::vector<Value> values(count);
    stream().download(values.data(), from, count * sizeof(Value));
    stream().synchronize();
    return values;
  }

  TemporaryFolder folder;
  LogKeeper log;
  std::unique_ptr<Context> context;
};

TEST_F(CudaLiveTest, Properties) {
  const DeviceProperties& p = context->properties();
  for (const std::string& line : describe_devices()) std::printf("%s\n", line.c_str());
  EXPECT_GE(p.processors, 100);
  EXPECT_GE(p.max_shared_bytes, 227u * 1024);
  EXPECT_GT(p.memory_bytes_per_second, 2e12);
  EXPECT_GT(p.l2_bytes, 30u << 20);
  EXPECT_EQ(p.pci_address.size(), 12u);
}

TEST_F(CudaLiveTest, RunsAKernelAndReadsItsAttributes) {
  const auto program = device().load(add_value_kernel(target()));
  std::printf("load %.2f ms, %d registers, log: %s\n", program->attributes().load_seconds * 1e3,
              program->attributes().registers, program->attributes().log.c_str());
  EXPECT_GT(program->attributes().registers, 0);
  EXPECT_EQ(program->attributes().local_bytes, 0);
  EXPECT_EQ(program->attributes().max_threads, 256);
  EXPECT_TRUE(program->attributes().warnings.empty());
  EXPECT_EQ(device().resident_blocks(*program), 8u * static_cast<unsigned>(context->properties().processors));
  const Buffer x = device().allocate(1000 * 4);
  stream().fill(x, 0, x.bytes());
  stream().launch(*program, Grid{4}, {x, uint32_t{999}, 2.5f});
  const auto values = read<float>(x, 1000);
  EXPECT_THAT(std::vector<float>(values.begin(), values.end() - 1), Each(2.5f));
  EXPECT_EQ(values.back(), 0.0f);
}

TEST_F(CudaLiveTest, CacheAnswersFromMemoryAndDisk) {
  const ProgramKey key("add_value", "", target(), "1");
  const auto build = [&] { return add_value_kernel(target()); };
  context->cache().get(key, build);
  EXPECT_EQ(context->cache().counters().builds, 1u);
  CacheOptions options;
  options.folder = folder.path();
  double best = 1;
  for (int i = 0; i < 5; ++i) {
    ProgramCache second(device(), options);
    const auto start = std::chrono::steady_clock::now();
    second.get(key, build);
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    EXPECT_EQ(second.counters().disk_hits, 1u);
  }
  std::printf("from disk, with the driver's warm load: %.0f us\n", best * 1e6);
  EXPECT_LT(best, 1e-3);
}

TEST_F(CudaLiveTest, ClustersAndProgrammaticLaunch) {
  const auto program = device().load(cluster_rank_kernel(target()));
  const Buffer out = device().allocate(64 * 4);
  for (int i = 0; i < 3; ++i) stream().launch(*program, Grid{64}, {out});
  const auto ranks = read<uint32_t>(out, 64);
  for (uint32_t i = 0; i < 64; ++i) EXPECT_EQ(ranks[i], i % 2);
  EXPECT_GT(device().resident_blocks(*program), 0u);
}

TEST_F(CudaLiveTest, CooperativeGridsMeet) {
  const auto program = device().load(grid_barrier_kernel(target()));
  const auto blocks = static_cast<uint32_t>(device().resident_blocks(*program));
  const Buffer counter = device().allocate(4), out = device().allocate(blocks * 4);
  stream().fill(counter, 0, 4);
  stream().launch(*program, Grid{blocks}, {counter, out});
  EXPECT_THAT(read<uint32_t>(out, blocks), Each(blocks));
  EXPECT_THAT(error_of([&] { stream().launch(*program, Grid{blocks + 1}, {counter, out}); }).second,
              HasSubstr("resident_blocks"));
}

TEST_F(CudaLiveTest, TensorMapsOfSmallAndLargeTensors) {
  const auto program = device().load(tile_kernel(target()));
  const Buffer out = device().allocate(128 * 4);
  for (const uint64_t rows :
       {10, 1000}) {  // 800 bytes to 1.6 MB: below and above the 128 KiB of the old drivers' bit
    for (const uint64_t columns : {20, 400}) {
      std::vector<float> matrix(rows * columns);
      std::iota(matrix.begin(), matrix.end(), 1.0f);
      const Buffer memory = device().allocate(matrix.size() * 4);
      stream().upload(memory, matrix.data(), memory.bytes());
      TensorMapSpec spec;
      spec.type = TensorMapType::kF32;
      spec.base = memory;
      spec.rank = 2;
      spec.dims = {columns, rows};
      spec.strides = {columns * 4};
      spec.box = {16, 8};
      const TensorMap map = device().encode_tensor_map(spec);
      // The last tile reaches over both borders; what lies outside reads as zero.
      const auto x0 = static_cast<uint32_t>(columns - 4), y0 = static_cast<uint32_t>(rows - 2);
      stream().launch(*program, Grid{1}, {map, out, x0, y0});
      const auto tile = read<float>(out, 128);
      for (uint32_t i = 0; i < 128; ++i) {
        const uint64_t x = x0 + i % 16, y = y0 + i / 16;
        ASSERT_EQ(tile[i], x < columns && y < rows ? matrix[y * columns + x] : 0.0f)
            << rows << "×" << columns << " " << i;
      }
    }
  }
}

TEST_F(CudaLiveTest, GraphsReplayAndUpdate) {
  const auto program = device().load(add_value_kernel(target()));
  const Buffer a = device().allocate(1024), b = device().allocate(1024);
  stream().fill(a, 0, 1024);
  stream().fill(b, 0, 1024);
  const auto record = [&](const Buffer& buffer, int launches) {
    stream().begin_capture();
    for (int i = 0; i < launches; ++i) stream().launch(*program, Grid{1}, {buffer, uint32_t{256}, 1.0f});
  };
  record(a, 100);
  const auto graph = stream().end_capture();
  EXPECT_EQ(graph->node_count(), 100u);
  stream().launch(*graph);
  stream().launch(*graph);
  EXPECT_THAT(read<float>(a, 256), Each(200.0f));
  record(b, 100);
  EXPECT_TRUE(stream().end_capture(*graph));
  stream().launch(*graph);
  EXPECT_THAT(read<float>(b, 256), Each(100.0f));
  record(b, 3);
  EXPECT_FALSE(stream().end_capture(*graph));
  stream().launch(*graph);
  EXPECT_THAT(read<float>(b, 256), Each(103.0f));

  const auto start = device().create_event(), end = device().create_event();
  record(b, 100);
  stream().end_capture(*graph);
  stream().launch(*graph);
  stream().record(*start);
  for (int i = 0; i < 20; ++i) stream().launch(*graph);
  stream().record(*end);
  end->synchronize();
  std::printf("tiny kernel in a graph: %.2f us\n", end->seconds_since(*start) / 2000 * 1e6);
}

TEST_F(CudaLiveTest, MissingProgramsMayLoadDuringACapture) {
  const Buffer a = device().allocate(1024);
  stream().fill(a, 0, 1024);
  stream().synchronize();
  stream().begin_capture();
  const Program& program =
      context->cache().get(ProgramKey("late", "", target(), "1"), [&] { return add_value_kernel(target()); });
  const Buffer scratch = device().allocate(4096);  // and memory that is not the stream's may be had
  stream().launch(program, Grid{1}, {a, uint32_t{256}, 1.0f});
  const auto graph = stream().end_capture();
  EXPECT_EQ(graph->node_count(), 1u);
  stream().launch(*graph);
  EXPECT_THAT(read<float>(a, 256), Each(1.0f));
}

TEST_F(CudaLiveTest, PreparedLaunchOverhead) {
  const auto program = device().load(add_value_kernel(target()));
  const Buffer a = device().allocate(1024);
  stream().fill(a, 0, 1024);
  const Argument arguments[] = {a, uint32_t{256}, 1.0f};
  PreparedLaunch prepared(*program, Grid{1}, arguments);
  stream().launch(prepared);
  stream().synchronize();
  const auto seconds = [&](auto launch) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 500; ++i) launch();
    const double result =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / 500;
    stream().synchronize();
    return result;
  };
  const double packed = seconds([&] { stream().launch(prepared); });
  const double plain = seconds([&] { stream().launch(*program, Grid{1}, arguments); });
  std::printf("launch: prepared %.2f us, plain %.2f us\n", packed * 1e6, plain * 1e6);
  EXPECT_THAT(read<float>(a, 256), Each(1001.0f));
}

TEST_F(CudaLiveTest, MemoryPoolAndPinnedMemory) {
  Buffer ordered = device().allocate(1 << 20, stream());
  const HostBuffer host = device().allocate_host(1 << 20);
  std::fill_n(static_cast<uint32_t*>(host.data()), 1 << 18, 7u);
  stream().upload(ordered, host.data(), 1 << 20);
  const Buffer other = device().allocate(1 << 20), dedicated = device().allocate_dedicated(1 << 20);
  stream().copy(other, ordered, 1 << 20);
  ordered.reset();
  stream().copy(dedicated, other, 1 << 20);
  stream().fill_words(other, 9, 4);
  EXPECT_THAT(read<uint32_t>(dedicated, 1 << 18), Each(7u));
  EXPECT_EQ(read<uint32_t>(other, 2), (std::vector<uint32_t>{9, 7}));
  EXPECT_GE(device().memory_use().pool_used_bytes, 1u << 20);
  const auto [kind, text] = error_of([&] { device().allocate(context->properties().memory_bytes * 2); });
  EXPECT_EQ(kind, ErrorKind::kOutOfMemory) << text;
  device().trim_pool();
}

TEST_F(CudaLiveTest, BadPtxShowsTheAssemblersWords) {
  ProgramSource source = add_value_kernel(target());
  source.code.replace(source.code.find("ret;"), 4, "rot;");
  const auto [kind, text] = error_of([&] { device().load(source); });
  EXPECT_EQ(kind, ErrorKind::kInvalidProgram);
  EXPECT_THAT(text, HasSubstr("rot"));
  source = add_value_kernel(target());
  source.entry = "other";
  EXPECT_EQ(error_of([&] { device().load(source); }).first, ErrorKind::kInvalidProgram);
}

// In a process of its own, because nothing works after it.
TEST_F(CudaLiveTest, FaultsAreALostDevice) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto fault_and_exit = [&] {
    const auto program = device().load(faulting_kernel(target()));
    stream().launch(*program, Grid{1}, {});
    const auto [kind, text] = error_of([&] { stream().synchronize(); });
    std::fprintf(stderr, "%s\n", text.c_str());
    _exit(kind == ErrorKind::kLost ? 0 : 1);
  };
  EXPECT_EXIT(fault_and_exit(), ::testing::ExitedWithCode(0), "restart the process");
}

}  // namespace
}  // namespace rose::runtime
