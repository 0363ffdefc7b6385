// The `rose` command: one function a subcommand, everything else below it in the house.
#pragma once

#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace rose::cli {

// Exit codes of the command.
inline constexpr int kDone = 0;           // all went well
inline constexpr int kFailed = 1;         // the work was done and something is wrong, or a device failed
inline constexpr int kBadUsage = 2;       // options, names or Specs that mean nothing; nothing was done
inline constexpr int kInterrupted = 130;  // Ctrl-C, as shells report it

// A message for whoever typed the command, and the exit code that goes with it.
class CliError : public std::runtime_error {
 public:
  explicit CliError(const std::string& message, int code = kBadUsage)
      : std::runtime_error(message), code_(code) {}
  int code() const { return code_; }

 private:
  int code_;
};

// Threads that --threads may ask for; more than any machine has processors.
inline constexpr int kMostThreads = 4096;

// What is said when results have nowhere to go.
inline constexpr const char* kUnwritable =
    "standard output cannot be written (a closed pipe, or a full disk)";

// Writes to standard error. Where that fails there is nobody to tell, and the work goes on.
void tell(std::string_view message);

// What the chosen subcommand will do; set while the options are parsed, called afterwards. Returns the exit
// code.
using Action = std::function<int()>;

// Each adds one subcommand to `parent`.
void add_devices(CLI::App& parent, Action& action);
void add_generate(CLI::App& parent, Action& action);
void add_embed(CLI::App& parent, Action& action);
void add_rerank(CLI::App& parent, Action& action);
void add_classify(CLI::App& parent, Action& action);
void add_info(CLI::App& parent, Action& action);
void add_list(CLI::App& parent, Action& action);
void add_pull(CLI::App& parent, Action& action);
void add_rm(CLI::App& parent, Action& action);
void add_run(CLI::App& parent, Action& action);
void add_bench_model(CLI::App& parent, Action& action);
void add_score(CLI::App& parent, Action& action);
void add_kernels_list(CLI::App& parent, Action& action);
void add_kernels_show(CLI::App& parent, Action& action);
void add_kernels_check(CLI::App& parent, Action& action);
void add_kernels_bench(CLI::App& parent, Action& action);

// The whole command. Writes results to standard output and messages to standard error; throws nothing.
int run(int argc, const char* const* argv, const std::string& version);

}  // namespace rose::cli
