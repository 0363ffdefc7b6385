#include "hub/retry.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

namespace rose::hub {
namespace {

constexpr double kLongestPause = 60;

}  // namespace

void pause(double seconds, const Events& events) {
  using Clock = std::chrono::steady_clock;
  auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (Clock::now() < end) {
    if (events.stop()) throw HubError(ErrorKind::kInterrupted, "interrupted");
    std::this_thread::sleep_for(
        std::min(std::chrono::duration<double>(end - Clock::now()), std::chrono::duration<double>(0.05)));
  }
}

void Retry::failed(const TransientError& error, bool progress) {
  failures_ = progress ? 1 : failures_ + 1;
  if (failures_ >= settings_.attempts) fail("{} (tried {} times)", error.what(), failures_);
  double seconds = std::max(settings_.retry_seconds * std::exp2(failures_ - 1), error.wait_seconds());
  seconds = std::min(seconds, kLongestPause);
  events_.say(fmt::format("{}; trying again in {:.1f} s", error.what(), seconds));
  pause(seconds, events_);
}

}  // namespace rose::hub
