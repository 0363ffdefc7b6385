// Trying again what may heal: with pauses that double, and as long as there is progress.
#pragma once

#include "hub/error.h"
#include "hub/settings.h"

namespace rose::hub {

// Sleeps, but ends at once with kInterrupted when the events ask to stop.
void pause(double seconds, const Events& events);

// Counts attempts that fail one after the other.
class Retry {
 public:
  Retry(const Settings& settings, const Events& events) : settings_(settings), events_(events) {}
  // After a failure: waits and returns, or throws HubError when it was the last attempt. `progress`:
  // something arrived since the one before, so the count begins anew.
  void failed(const TransientError& error, bool progress);

 private:
  const Settings& settings_;
  const Events& events_;
  int failures_ = 0;
};

// Calls f until it does not throw TransientError.
template <typename F>
auto with_retries(const Settings& settings, const Events& events, F&& f) {
  Retry retry(settings, events);
  for (;;) {
    try {
      return f();
    } catch (const TransientError& error) {
      retry.failed(error, false);
    }
  }
}

}  // namespace rose::hub
