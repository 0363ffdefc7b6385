// The parts of the command that can be tested alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "cli/assembler.h"
#include "cli/cli.h"
#include "cli/making.h"
#include "cli/measure.h"
#include "cli/process.h"
#include "cli/table.h"

namespace rose::cli {
namespace {

TEST(Table, AlignsAndCountsCharactersNotBytes) {
  Table table({"name", ">time"});
  table.add({"a", "10 µs"});
  table.add({"long name", "1 ms"});
  table.add({"short"});
  EXPECT_EQ(table.text(),
            "name        time\n"
            "a          10 µs\n"
            "long name   1 ms\n"
            "short\n");
  EXPECT_THROW(table.add({"1", "2", "3"}), std::out_of_range);
}

TEST(Table, UnitsKeepThreeDigits) {
  EXPECT_EQ(seconds_text(0.48e-6), "480 ns");
  EXPECT_EQ(seconds_text(31.46e-6), "31.5 µs");
  EXPECT_EQ(seconds_text(9.994e-3), "9.99 ms");
  EXPECT_EQ(seconds_text(9.996e-3), "10.0 ms");
  EXPECT_EQ(seconds_text(0.9996), "1.00 s");
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(999), "999 B");
  EXPECT_EQ(bytes_text(1000), "1.00 KB");
  EXPECT_EQ(bytes_text(141e9), "141 GB");
}

TEST(Process, ReturnsStatusSignalAndAllOutput) {
  auto exit = run_process({"/bin/sh", "-c", "echo out; echo err >&2; exit 7"});
  EXPECT_EQ(exit.status, 7);
  EXPECT_EQ(exit.output, "out\nerr\n");
  EXPECT_EQ(run_process({"/bin/sh", "-c", "kill -9 $$"}).status, 128 + 9);
  auto much = run_process({"/bin/sh", "-c", "head -c 300000 /dev/zero"});
  EXPECT_EQ(much.output.size(), 300000u);
  EXPECT_THROW(run_process({"/nonexistent/program"}), CliError);
}

TEST(Process, TemporaryFilesVanishWithTheirFolder) {
  std::string path, other;
  {
    TemporaryFile file("a.txt", "content");
    path = file.path(), other = file.beside("b.txt");
    write_file(other, "more");
    EXPECT_EQ(read_file(path), "content");
  }
  EXPECT_THROW(read_file(path), CliError);
  EXPECT_THROW(read_file(other), CliError);
}

TEST(Assembler, CountsMachineCodeOfAnObject) {
  Made made = make(kernels::catalog_entry("rms_norm"), ir::parse_target("x86:avx2"), "hidden=64");
  int64_t bytes = machine_code_bytes(made.code);
  EXPECT_GT(bytes, 64);
  EXPECT_LT(bytes, static_cast<int64_t>(made.code.size()));
}

TEST(Assembler, CountsNothingInOtherOrBrokenFiles) {
  EXPECT_EQ(machine_code_bytes(""), 0);
  EXPECT_EQ(machine_code_bytes(std::string(64, 'x')), 0);
  Made made = make(kernels::catalog_entry("rms_norm"), ir::parse_target("x86:avx2"), "hidden=64");
  for (size_t size : {size_t{10}, size_t{64}, made.code.size() / 2})
    EXPECT_EQ(machine_code_bytes(made.code.substr(0, size)), 0);
  uint64_t beyond = ~uint64_t{0} - 10;  // the section table's place wraps around
  std::memcpy(&made.code[40], &beyond, sizeof beyond);
  EXPECT_EQ(machine_code_bytes(made.code), 0);
}

TEST(Measure, Median) {
  EXPECT_EQ(median({3}), 3);
  EXPECT_EQ(median({9, 1, 2}), 2);
  EXPECT_EQ(median({1, 4, 2, 100}), 3);
}

TEST(Measure, CallsOftenAndLongEnough) {
  int calls = 0;
  median_seconds_of_call([&] { ++calls; }, 5, 0);
  EXPECT_EQ(calls, 5);
  Stopwatch watch;
  median_seconds_of_call([] {}, 1, 0.02);
  EXPECT_GE(watch.lap(), 0.02);
}

TEST(Making, StandardTargetsDiffer) {
  auto targets = standard_targets();
  EXPECT_GE(targets.size(), 4u);
  for (size_t i = 0; i < targets.size(); ++i)
    for (size_t j = 0; j < i; ++j) EXPECT_FALSE(targets[i] == targets[j]);
}

}  // namespace
}  // namespace rose::cli
