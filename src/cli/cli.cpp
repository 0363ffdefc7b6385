#include "cli/cli.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <new>
#include <system_error>

#include "hub/error.h"
#include "ir/error.h"
#include "kernels/spec.h"
#include "layout/checked.h"
#include "runtime/error.h"

namespace rose::cli {
namespace {

// A message may quote what a model's file holds: nothing in it may move a terminal's cursor or look like two
// messages.
std::string printable(std::string_view message, bool one_line) {
  std::string text;
  for (char c : message) {
    auto byte = static_cast<unsigned char>(c);
    if ((byte >= 0x20 && byte != 0x7f) || (c == '\n' && !one_line))
      text += c;
    else
      text += c == '\n' ? " " : fmt::format("\\x{:02x}", byte);
  }
  return text;
}

int complain(const std::string& message, int code, bool one_line = false) {
  tell(fmt::format("rose: error: {}\n", printable(message, one_line)));
  return code;
}

int code_of(const hub::HubError& error) {
  switch (error.kind()) {
    case hub::ErrorKind::kBadRequest:
      return kBadUsage;
    case hub::ErrorKind::kInterrupted:
      return kInterrupted;
    case hub::ErrorKind::kFailed:
      break;
  }
  return kFailed;
}

// Runs the action; every exception of the rooms below becomes one line and an exit code.
int perform(const Action& action) {
  try {
    return action();
  } catch (const CliError& error) {
    return complain(error.what(), error.code());
  } catch (const kernels::KernelError& error) {
    return complain(error.what(), kBadUsage);
  } catch (const layout::LayoutError& error) {
    return complain(error.what(), kBadUsage);
  } catch (const hub::HubError& error) {
    return complain(error.what(), code_of(error));
  } catch (const runtime::DeviceError& error) {
    return complain(error.what(), error.kind() == runtime::ErrorKind::kInvalidArgument ? kBadUsage : kFailed);
  } catch (const std::bad_alloc&) {
    return complain("there is not enough memory", kFailed);
  } catch (const std::exception& error) {  // of files: TextError, WeightsError, ModelError
    return complain(error.what(), kFailed, true);
  }
}

// Ctrl-C where no Interruption waits for it: a line, and the end that shells expect of the signal.
void end_by_interrupt(int) {
  constexpr std::string_view kLine = "rose: error: interrupted\n";
  if (::write(STDERR_FILENO, kLine.data(), kLine.size()) < 0) {
    // Then it ends without the line.
  }
  std::signal(SIGINT, SIG_DFL);
  std::raise(SIGINT);
}

// Else the first files that are opened would become standard output or standard error, and be written to.
void occupy_closed_streams() {
  int file = 0;
  while (file >= 0 && file <= STDERR_FILENO) file = ::open("/dev/null", O_RDONLY);
  if (file >= 0) ::close(file);
}

// A closed pipe and a full or limited disk are errors of writing, not the end of the process.
void set_signals() {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  // A shell's background jobs ignore Ctrl-C, and go on doing so.
  if (std::signal(SIGINT, end_by_interrupt) == SIG_IGN) std::signal(SIGINT, SIG_IGN);
}

// One that could not write returns kFailed, or fmt has thrown; the message is the same.
int perform_and_flush(const Action& action) {
  return perform([&] {
    int code = kFailed;
    try {
      code = action();
    } catch (const std::system_error&) {
      if (!std::ferror(stdout)) throw;
    }
    if (std::fflush(stdout) != 0 || std::ferror(stdout)) throw CliError(kUnwritable, kFailed);
    return code;
  });
}

}  // namespace

void tell(std::string_view message) { std::fwrite(message.data(), 1, message.size(), stderr); }

int run(int argc, const char* const* argv, const std::string& version) {
  occupy_closed_streams();
  set_signals();
  CLI::App app{
      "ROSE, the Runtime-Optimized Serving Engine.\n\n"
      "Kernels are written in C++, specialised while the program runs, and compiled in milliseconds for\n"
      "NVIDIA Hopper and Blackwell GPUs and for x86 processors.",
      "rose"};
  app.set_version_flag("--version,-V", "rose " + version, "Print the version");
  app.require_subcommand(1);
  app.footer(
      "Examples:\n"
      "  rose pull smollm2\n"
      "  rose run smollm2\n"
      "  rose devices\n"
      "  rose kernels list\n"
      "  rose kernels show rms_norm --spec hidden=2048,dtype=f16 --target sm_90a --emit ptx\n"
      "\n"
      "Environment:\n"
      "  ROSE_CACHE   folder of compiled kernels (else $XDG_CACHE_HOME/rose or ~/.cache/rose)\n"
      "  ROSE_HOME    folder of the named models (else ~/.cache/rose); hub models lie in the hub's own "
      "cache\n"
      "  ROSE_PTXAS   NVIDIA's assembler, which `kernels check` and `kernels show --emit asm` need");

  Action action;
  add_run(app, action), add_generate(app, action), add_score(app, action), add_info(app, action);
  add_embed(app, action), add_rerank(app, action), add_classify(app, action);
  add_pull(app, action), add_list(app, action), add_rm(app, action);
  add_devices(app, action);
  CLI::App* bench = app.add_subcommand("bench", "Measure how fast models run");
  bench->require_subcommand(1);
  bench->footer("`rose kernels bench` measures single kernels.");
  add_bench_model(*bench, action);
  CLI::App* kernels = app.add_subcommand("kernels", "Look at kernels, check them and measure them");
  kernels->require_subcommand(1);
  kernels->footer("`rose kernels COMMAND --help` explains each command.");
  add_kernels_list(*kernels, action);
  add_kernels_show(*kernels, action);
  add_kernels_check(*kernels, action);
  add_kernels_bench(*kernels, action);

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {  // --help, --version
    int code = app.exit(done);
    return std::cout.flush() ? code : complain(kUnwritable, kFailed);
  } catch (const CLI::ParseError& error) {
    // CLI11 misses the subcommand before it looks at the word that stands in its place.
    auto rest = app.remaining(true);
    bool unknown = dynamic_cast<const CLI::RequiredError*>(&error) && !rest.empty();
    std::string what = unknown ? fmt::format("there is no command '{}'", rest.front()) : error.what();
    return complain(what + "\nTry `rose --help`, or --help after the subcommand.", kBadUsage);
  }
  return perform_and_flush(action);
}

}  // namespace rose::cli
