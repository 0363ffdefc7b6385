// The command from outside: what it prints, what it refuses and with which exit code.
#include "command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/assembler.h"
#include "cli/cli.h"
#include "kernels/catalog.h"
#include "layout/layout.h"

namespace rose::cli::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// Nothing was done, the message begins like this and holds these words.
void expect_refused(const std::vector<std::string>& arguments, const std::string& words,
                    const std::vector<std::string>& environment = {}) {
  auto result = rose_command(arguments, environment);
  EXPECT_EQ(result.status, kBadUsage) << result.output;
  EXPECT_THAT(result.output, AllOf(HasSubstr("rose: error: "), HasSubstr(words)));
}

TEST(Command, HelpTeachesEveryCommand) {
  for (std::vector<std::string> command : {std::vector<std::string>{},
                                           {"devices"},
                                           {"pull"},
                                           {"list"},
                                           {"rm"},
                                           {"kernels"},
                                           {"kernels", "list"},
                                           {"kernels", "show"},
                                           {"kernels", "check"},
                                           {"kernels", "bench"}}) {
    command.push_back("--help");
    auto result = rose_command(command);
    EXPECT_EQ(result.status, kDone);
    EXPECT_THAT(result.output, HasSubstr("Usage: rose"));
  }
}

TEST(Command, PrintsItsVersion) {
  auto result = rose_command({"--version"});
  EXPECT_EQ(result.status, kDone);
  EXPECT_THAT(result.output, testing::MatchesRegex("rose [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST(Command, RefusesWhatItDoesNotKnow) {
  expect_refused({}, "subcommand");
  expect_refused({"kernels", "fry"}, "fry");
  expect_refused({"kernels", "list", "--jsno"}, "--jsno");
  expect_refused({"kernels", "show"}, "NAME");
}

TEST(Devices, AlwaysHasThisProcessor) {
  auto result = rose_command({"devices", "--json"});
  ASSERT_EQ(result.status, kDone) << result.output;
  auto devices = nlohmann::json::parse(result.output)["devices"];
  ASSERT_FALSE(devices.empty());
  EXPECT_EQ(devices.back()["device"], "x86");
  EXPECT_GT(devices.back()["memory_bytes"].get<uint64_t>(), uint64_t{1} << 28);
}

TEST(List, HasTheWholeCatalog) {
  auto result = rose_command({"kernels", "list", "--json"});
  ASSERT_EQ(result.status, kDone) << result.output;
  auto list = nlohmann::json::parse(result.output);
  ASSERT_EQ(list.size(), kernels::catalog().size());
  for (size_t i = 0; i < list.size(); ++i) {
    const auto& entry = kernels::catalog()[i];
    EXPECT_EQ(list[i]["name"], entry.name);
    EXPECT_EQ(list[i]["fields"].size(), entry.fields.size());
    EXPECT_FALSE(list[i]["standard"].empty()) << entry.name;
    for (const auto& field : list[i]["fields"])
      EXPECT_NE(field["help"], "") << entry.name << " " << field["key"];
  }
}

TEST(Show, PrintsIrAndPtx) {
  auto ir = rose_command({"kernels", "show", "rms_norm", "--spec", "hidden=640"});
  EXPECT_EQ(ir.status, kDone);
  EXPECT_THAT(ir.output, HasSubstr("kernel rms_norm for x86"));
  auto ptx = rose_command(
      {"kernels", "show", "rms_norm", "--spec", "hidden=640", "--target", "sm_100a", "--emit", "ptx"});
  EXPECT_EQ(ptx.status, kDone);
  EXPECT_THAT(ptx.output, AllOf(HasSubstr(".target sm_100a"), HasSubstr(".entry rms_norm")));
}

TEST(Show, NamesEveryPass) {
  auto result = rose_command({"kernels", "show", "rms_norm", "--passes"});
  EXPECT_EQ(result.status, kDone);
  for (const auto& pass : ir::passes())
    EXPECT_THAT(result.output, HasSubstr(std::string("; after ") + pass.name));
}

TEST(Show, PrintsMachineCodeOfX86) {
  auto result = rose_command({"kernels", "show", "rms_norm", "--target", "x86:avx2", "--emit", "asm"});
  EXPECT_EQ(result.status, kDone);
  EXPECT_THAT(result.output, AllOf(HasSubstr("rms_norm:"), HasSubstr("%ymm"), Not(HasSubstr("%zmm"))));
}

TEST(Show, PrintsMachineCodeOfGpusOrSaysWhatIsMissing) {
  auto result = rose_command({"kernels", "show", "rms_norm", "--target", "sm_90a", "--emit", "asm"});
  bool tools = have_ptxas() && (!find_tool("nvdisasm").empty() || !find_tool("cuobjdump").empty());
  EXPECT_EQ(result.status, tools ? kDone : kFailed);
  EXPECT_THAT(result.output, testing::ContainsRegex(tools ? "EXIT" : "ROSE_PTXAS|ROSE_NVDISASM"));
}

TEST(Show, LayoutsCanBeReadAndDrawn) {
  TemporaryFile picture("row.svg", "");
  auto result = rose_command({"kernels", "show", "rms_norm", "--spec", "hidden=256,threads=32", "--target",
                              "sm_90a", "--emit", "layouts", "--svg", picture.path()});
  ASSERT_EQ(result.status, kDone) << result.output;
  // 32 threads, 8 bf16 values an access, one access.
  EXPECT_THAT(result.output, HasSubstr("(32,(8,1)):(8,(1,256))"));
  std::string svg = read_file(picture.path());
  EXPECT_THAT(svg, AllOf(HasSubstr("<svg"), HasSubstr(">255</text>"), Not(HasSubstr(">256</text>"))));
}

TEST(Show, RefusesBadSpecs) {
  expect_refused({"kernels", "show", "rms_nrom"}, "rms_norm");
  expect_refused({"kernels", "show", "rms_norm", "--spec", "hiden=64"}, "no field 'hiden'");
  expect_refused({"kernels", "show", "rms_norm", "--spec", "hidden"}, "key=value");
  expect_refused({"kernels", "show", "rms_norm", "--spec", "hidden=many"}, "whole number");
  expect_refused({"kernels", "show", "rms_norm", "--spec", "hidden=0"}, "1 to 65536");
  expect_refused({"kernels", "show", "rms_norm", "--spec", "hidden=65537"}, "65537");
  expect_refused({"kernels", "show", "rms_norm", "--spec", "dtype=int9"}, "int9");
  expect_refused({"kernels", "show", "rms_norm", "--spec", "dtype=s8"}, "bf16, f16 or f32");
}

TEST(Show, RefusesTargetsAndFormsThatDoNotFit) {
  expect_refused({"kernels", "show", "rms_norm", "--target", "sm_80"}, "sm_90a");
  expect_refused({"kernels", "show", "rms_norm", "--target", "x86", "--emit", "ptx"}, "no PTX");
  expect_refused({"kernels", "show", "rms_norm", "--emit", "morse"}, "morse");
  expect_refused({"kernels", "show", "gemm_sm90", "--target", "sm_100a"}, "sm_90a");
  expect_refused({"kernels", "show", "rms_norm", "--svg", "/tmp/x.svg"}, "--emit layouts");
}

TEST(Show, SaysWhatItCannotWrite) {
  auto result =
      rose_command({"kernels", "show", "rms_norm", "--emit", "layouts", "--svg", "/nonexistent/row.svg"});
  EXPECT_EQ(result.status, kFailed);
  EXPECT_THAT(result.output, HasSubstr("cannot write /nonexistent/row.svg"));
}

TEST(Check, ReportsWhatTheAssemblerMade) {
  FakePtxas ptxas("ptxas info    : Used 40 registers, used 1 barriers, 128 bytes smem", 0);
  auto result =
      rose_command({"kernels", "check", "rms_norm", "--spec", "hidden=640", "--target", "sm_90a", "--json"},
                   {ptxas.setting()});
  ASSERT_EQ(result.status, kDone) << result.output;
  auto row = nlohmann::json::parse(result.output).at(0);
  EXPECT_EQ(row["registers"], 40);
  EXPECT_GE(row["shared_bytes"], 128);
  EXPECT_GT(row["instructions"], 20);
  EXPECT_TRUE(row["ok"]);
}

TEST(Check, FailsOnSpillsAndLostPerformance) {
  for (const char* line : {"    8 bytes stack frame, 8 bytes spill stores, 8 bytes spill loads",
                           "ptxas info    : (C7508) Potential Performance Loss: 'setmaxnreg' ignored"}) {
    FakePtxas ptxas(line, 0);
    auto result = rose_command({"kernels", "check", "rms_norm", "--spec", "hidden=640", "--target", "sm_90a"},
                               {ptxas.setting()});
    EXPECT_EQ(result.status, kFailed);
    EXPECT_THAT(result.output, AllOf(HasSubstr("FAILED"), HasSubstr("0 of 1 kernels are clean")));
  }
  FakePtxas ptxas("ptxas fatal   : no", 255);
  auto result =
      rose_command({"kernels", "check", "rms_norm", "--spec", "hidden=640", "--target", "sm_90a", "--quiet"},
                   {ptxas.setting()});
  EXPECT_EQ(result.status, kFailed);
  EXPECT_THAT(result.output, AllOf(HasSubstr("ptxas refuses"), HasSubstr("ptxas fatal   : no")));
}

TEST(Check, ASpecThatIsRefusedIsAFailure) {
  auto result =
      rose_command({"kernels", "check", "rms_norm", "--spec", "hidden=0", "--target", "x86", "--quiet"});
  EXPECT_EQ(result.status, kFailed);
  EXPECT_THAT(result.output, HasSubstr("1 to 65536"));
}

TEST(Check, NeedsNoAssemblerForX86) {
  auto result = rose_command({"kernels", "check", "rms_norm", "--target", "x86:avx2"},
                             {"-uROSE_PTXAS", "PATH=/nonexistent"});
  EXPECT_EQ(result.status, kDone) << result.output;
}

TEST(Check, SaysWhenTheAssemblerIsNotWhereItShouldBe) {
  expect_refused({"kernels", "check", "rms_norm"}, "ROSE_PTXAS=/nonexistent/ptxas",
                 {"ROSE_PTXAS=/nonexistent/ptxas"});
}

TEST(Bench, MeasuresMakingFindingAndRunning) {
  TemporaryFile folder("unused", "");
  auto result = rose_command({"kernels", "bench", "rms_norm", "--spec", "hidden=256", "--rows", "64",
                              "--device", "x86", "--threads", "1", "--json"},
                             {"ROSE_CACHE=" + folder.beside("cache")});
  ASSERT_EQ(result.status, kDone) << result.output;
  auto all = nlohmann::json::parse(result.output);
  EXPECT_EQ(all["compile"].size(), 2);  // one GPU target, and x86
  for (const auto& row : all["compile"]) EXPECT_GT(row["total_seconds"], 0);
  EXPECT_LT(all["cache"][0]["hit_seconds"], all["cache"][0]["disk_seconds"]);
  EXPECT_LT(all["cache"][0]["disk_seconds"], all["cache"][0]["build_seconds"]);
  EXPECT_EQ(all["device"][0]["bytes"], 64 * 256 * 2 * 2);
  EXPECT_GT(all["memory"]["copy_bytes_per_second"], 1e8);
}

TEST(Bench, RunsWithoutAUsableCacheFolder) {
  for (const char* folder : {"ROSE_CACHE=/proc/rose", "ROSE_CACHE=/dev/null"}) {
    auto result = rose_command({"kernels", "bench", "rms_norm", "--spec", "hidden=64", "--rows", "8",
                                "--device", "x86", "--part", "device"},
                               {folder});
    EXPECT_EQ(result.status, kDone) << result.output;
    EXPECT_THAT(result.output, HasSubstr("rms_norm"));
  }
}

TEST(Bench, RefusesBadDevicesAndSpecs) {
  expect_refused({"kernels", "bench", "rms_norm", "--device", "tpu"}, "unknown device 'tpu'");
  expect_refused({"kernels", "bench", "--spec", "hidden=64"}, "name it");
  expect_refused({"kernels", "bench", "rms_norm", "--spec", "hiden=64"}, "hiden");
  expect_refused({"kernels", "bench", "rms_norm", "--rows", "0"}, "--rows");
}

}  // namespace
}  // namespace rose::cli::test
