// Tokenizes texts on threads of its own while a model works on those before them.
#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "text/tokenizer/tokenizer.h"

namespace rose::engine {

class TokenizeAhead {
 public:
  /// `encode` makes the tokens of the input with a number below `count`; it is called by several threads at
  /// once. Few or short inputs (`bytes` in all) are not worth a thread: they are encoded as they are asked
  /// for.
  TokenizeAhead(size_t count, size_t bytes, int threads, std::function<text::Encoding(size_t)> encode);
  ~TokenizeAhead();
  TokenizeAhead(const TokenizeAhead&) = delete;
  TokenizeAhead& operator=(const TokenizeAhead&) = delete;

  /// The tokens of an input, once, and in rising order. Waits for them; throws what encoding them threw.
  text::Encoding take(size_t input);

 private:
  void work();

  std::function<text::Encoding(size_t)> encode_;
  std::vector<text::Encoding> done_;
  size_t count_, chunks_ = 0;
  std::atomic<size_t> next_chunk_ = 0;
  std::atomic<bool> stop_ = false;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<bool> ready_;  // of each chunk
  std::exception_ptr failure_;
  std::vector<std::jthread> threads_;
};

}  // namespace rose::engine
