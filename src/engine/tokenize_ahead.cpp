#include "engine/tokenize_ahead.h"

#include <algorithm>

namespace rose::engine {
namespace {

constexpr size_t kChunk = 16;               // inputs that a thread takes at once
constexpr size_t kBytesOfAThread = 64'000;  // a millisecond or so of work

}  // namespace

TokenizeAhead::TokenizeAhead(size_t count, size_t bytes, int threads,
                             std::function<text::Encoding(size_t)> encode)
    : encode_(std::move(encode)), count_(count) {
  size_t helpers = std::min<size_t>(bytes / kBytesOfAThread, static_cast<size_t>(std::max(threads, 0)));
  if (helpers == 0) return;
  done_.resize(count), chunks_ = (count + kChunk - 1) / kChunk, ready_.resize(chunks_);
  for (size_t i = 0; i < std::min(helpers, chunks_); ++i) threads_.emplace_back([this] { work(); });
}

TokenizeAhead::~TokenizeAhead() { stop_ = true; }

void TokenizeAhead::work() {
  for (size_t chunk; !stop_ && (chunk = next_chunk_++) < chunks_;) {
    std::exception_ptr failure;
    try {
      for (size_t i = chunk * kChunk; i < std::min(count_, (chunk + 1) * kChunk); ++i) done_[i] = encode_(i);
    } catch (...) {
      failure = std::current_exception();
    }
    std::lock_guard lock(mutex_);
    ready_[chunk] = true;
    if (failure && !failure_) failure_ = failure;
    arrived_.notify_all();
  }
}

text::Encoding TokenizeAhead::take(size_t input) {
  if (threads_.empty()) return encode_(input);
  std::unique_lock lock(mutex_);
  arrived_.wait(lock, [&] { return failure_ || ready_[input / kChunk]; });
  if (failure_) std::rethrow_exception(failure_);
  return std::move(done_[input]);
}

}  // namespace rose::engine
