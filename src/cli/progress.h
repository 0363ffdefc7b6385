// Progress of a transfer on standard error: one line that changes on a terminal, a line a file otherwise.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <string>

#include "hub/settings.h"

namespace rose::cli {

class Progress {
 public:
  explicit Progress(bool quiet);
  // What to hand to hub::pull. The Progress must outlive it.
  hub::Events events(std::function<bool()> cancelled);
  // Removes the changing line.
  void finish();
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

 private:
  using Clock = std::chrono::steady_clock;
  struct Sample {
    Clock::time_point time;
    int64_t done;
  };
  void show(const hub::Transfer& transfer);
  void note(const std::string& line);

  bool quiet_, terminal_, shown_ = false;
  Clock::time_point last_{};
  std::deque<Sample> samples_;  // of the last seconds, for the rate
  std::string file_;            // the one that moves
  int64_t begun_ = 0;           // bytes of it that were here before
};

// "model.safetensors   45 %  120 MB of 269 MB  35.1 MB/s  4 s left", cut to `columns`. `rate`: bytes a
// second, 0: unknown.
std::string progress_line(const hub::Transfer& transfer, double rate, size_t columns);

}  // namespace rose::cli
