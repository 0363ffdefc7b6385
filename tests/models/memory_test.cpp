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

}  // namespace
}  // namespace rose::models
