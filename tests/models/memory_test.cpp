#include "models/memory.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tiny_decoder.h"

namespace rose::models {
namespace {

void write(const std::filesystem::path& file, const std::string& text) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file) << text;
}

TEST(Memory, AvailableIsTheLeastOfMachineAndGroup) {
  TemporaryFolder root;
  EXPECT_FALSE(available_memory(root.path()));
  write(root.path() / "proc/meminfo",
        "MemTotal: 100 kB\nMemFree: 10 kB\nMemAvailable:   64 kB\nBuffers: 1 kB\n");
  EXPECT_EQ(available_memory(root.path()), 64 * 1024);
  write(root.path() / "sys/fs/cgroup/memory.max", "max\n");
  write(root.path() / "sys/fs/cgroup/memory.current", "9000\n");
  EXPECT_EQ(available_memory(root.path()), 64 * 1024);
  write(root.path() / "sys/fs/cgroup/memory.max", "20000\n");
  write(root.path() / "sys/fs/cgroup/memory.stat", "anon 5000\nfile 4000\n");
  EXPECT_EQ(available_memory(root.path()), 15000);
  EXPECT_GT(available_memory().value_or(0), 0);
}

TEST(Memory, TooLargeModelsAreRefusedWithNumbers) {
  TemporaryFolder folder;
  TinyDecoder tiny;
  tiny.randomise(1);
  auto checkpoint = Checkpoint::open(tiny.write_folder(folder.path() / "model"));
  auto need = memory_need(checkpoint, read_decoder_config(checkpoint), 1000);
  EXPECT_EQ(need.weights, static_cast<int64_t>(checkpoint.tensors().total_bytes()));
  EXPECT_EQ(need.cache, 1000 * 2 * tiny.layers * tiny.kv_heads * tiny.head_dim * 4);
  auto message = [&](MemoryNeed n, int64_t available) {
    try {
      expect_memory(checkpoint, n, available);
    } catch (const ModelError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(message(need, need.total()), "");
  EXPECT_NE(message({.weights = 700'000'000'000}, 16'000'000'000).find("takes about 700.0 GB"),
            std::string::npos);
  EXPECT_NE(message({.weights = 700'000'000'000}, 16'000'000'000).find("16.0 GB are free"),
            std::string::npos);
  EXPECT_NE(message(need, need.total() - 1).find("--context"), std::string::npos);
  // Numbers that do not fit into 64 bits are no wrap-around.
  EXPECT_NE(message(memory_need(checkpoint, read_decoder_config(checkpoint), INT64_MAX / 2), 1 << 30), "");
}

}  // namespace
}  // namespace rose::models
