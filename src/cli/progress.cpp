#include "cli/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>

#include "cli/cli.h"
#include "cli/table.h"

namespace rose::cli {
namespace {

constexpr auto kBetween = std::chrono::milliseconds(100);  // two drawings of the line
constexpr auto kWindow = std::chrono::seconds(5);          // over which the rate is taken

size_t terminal_columns() {
  struct winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::string bytes(int64_t count) { return bytes_text(static_cast<double>(count)); }

}  // namespace

std::string progress_line(const hub::Transfer& transfer, double rate, size_t columns) {
  int percent =
      transfer.size > 0
          ? static_cast<int>(100 * static_cast<double>(transfer.done) / static_cast<double>(transfer.size))
          : 100;
  std::string numbers =
      fmt::format(" {:3d} %  {} of {}", percent, bytes(transfer.done), bytes(transfer.size));
  if (rate > 0)
    numbers += fmt::format("  {}/s  {:.0f} s left", bytes_text(rate),
                           static_cast<double>(transfer.size - transfer.done) / rate);
  if (numbers.size() + 4 >= columns) return numbers.substr(0, columns > 1 ? columns - 1 : 0);
  size_t room = columns - 1 - numbers.size();
  std::string name = transfer.file.size() <= room
                         ? transfer.file
                         : "…" + transfer.file.substr(transfer.file.size() - (room - 1));
  return name + numbers;
}

Progress::Progress(bool quiet) : quiet_(quiet), terminal_(::isatty(STDERR_FILENO) != 0) {}

hub::Events Progress::events(std::function<bool()> cancelled) {
  return {[this](const std::string& line) { note(line); },
          [this](const hub::Transfer& transfer) { show(transfer); }, std::move(cancelled)};
}

void Progress::note(const std::string& line) {
  finish();
  if (!quiet_) tell(fmt::format("rose: {}\n", line));
}

void Progress::show(const hub::Transfer& transfer) {
  if (quiet_) return;
  if (transfer.file != file_) file_ = transfer.file, begun_ = transfer.file_done;
  const bool whole = transfer.file_done == transfer.file_size;
  if (!terminal_) {
    if (whole && begun_ < transfer.file_size) {
      tell(fmt::format("rose: {} ({})\n", transfer.file, bytes(transfer.file_size)));
      begun_ = transfer.file_size;
    }
    return;
  }
  auto now = Clock::now();
  if (now - last_ < kBetween && !whole) return;
  last_ = now;
  if (!samples_.empty() && samples_.back().done > transfer.done) samples_.clear();  // begun anew
  samples_.push_back({now, transfer.done});
  while (now - samples_.front().time > kWindow) samples_.pop_front();
  double seconds = std::chrono::duration<double>(now - samples_.front().time).count();
  double rate = seconds > 0.5 ? static_cast<double>(transfer.done - samples_.front().done) / seconds : 0;
  tell(fmt::format("\r\033[K{}", progress_line(transfer, rate, terminal_columns())));
  std::fflush(stderr);
  shown_ = true;
}

void Progress::finish() {
  if (shown_) tell("\r\033[K");
  std::fflush(stderr);
  shown_ = false;
}

}  // namespace rose::cli
