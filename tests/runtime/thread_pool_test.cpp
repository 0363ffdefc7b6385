#include "runtime/x86/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>
#include <vector>

namespace rose::runtime {
namespace {

// Every index exactly once, for counts around the number of threads, many times in a row (so that threads are
// met spinning, asleep and in between).
TEST(ThreadPool, RunsEveryIndexOnce) {
  for (int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (int repeat = 0; repeat < 50; ++repeat) {
      for (int64_t count : {0, 1, 2, 3, 7, 8, 9, 100, 1000}) {
        std::vector<std::atomic<int>> seen(static_cast<size_t>(count));
        pool.for_each_range(count, [&](int worker, int64_t begin, int64_t end) {
          EXPECT_GE(worker, 0);
          EXPECT_LT(worker, threads);
          EXPECT_LT(begin, end);
          for (int64_t i = begin; i < end; ++i) seen[static_cast<size_t>(i)]++;
        });
        for (auto& n : seen) ASSERT_EQ(n.load(), 1);
      }
    }
  }
}

// What the body writes without synchronisation is visible after the call (the thread sanitizer watches this
// too).
TEST(ThreadPool, ResultsAreVisibleToTheCaller) {
  ThreadPool pool(4);
  std::vector<int64_t> values(5000);
  for (int repeat = 1; repeat <= 200; ++repeat) {
    pool.for_each_range(5000, [&](int, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) values[static_cast<size_t>(i)] += i;
    });
  }
  for (int64_t i = 0; i < 5000; ++i) ASSERT_EQ(values[static_cast<size_t>(i)], 200 * i);
}

// One worker's calls never overlap: a counter of its own needs no protection.
TEST(ThreadPool, CallsOfOneWorkerDoNotOverlap) {
  ThreadPool pool(4);
  std::vector<int64_t> counters(4 * 16);
  for (int repeat = 0; repeat < 300; ++repeat) {
    pool.for_each_range(
        64, [&](int worker, int64_t begin, int64_t end) { counters[worker * 16] += end - begin; });
  }
  EXPECT_EQ(std::accumulate(counters.begin(), counters.end(), int64_t{0}), 300 * 64);
}

// A share that takes long is helped out by the others: sleeping blocks overlap.
TEST(ThreadPool, OthersTakeOverALongShare) {
  ThreadPool pool(4);
  const auto start = std::chrono::steady_clock::now();
  pool.for_each_range(16, [](int, int64_t begin, int64_t end) {
    // Only the first quarter, one thread's share, costs time: 4 × 100 ms.
    for (int64_t i = begin; i < end; ++i) {
      if (i < 4) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  });
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  EXPECT_LT(seconds, 0.350) << "without stealing it takes 0.400 s";
}

TEST(ThreadPool, ThrowsTheBodysException) {
  ThreadPool pool(3);
  for (int repeat = 0; repeat < 20; ++repeat) {
    EXPECT_THROW(pool.for_each_range(100,
                                     [](int, int64_t begin, int64_t end) {
                                       if (begin <= 50 && 50 < end) throw std::runtime_error("block 50");
                                     }),
                 std::runtime_error);
    std::atomic<int64_t> sum{0};
    pool.for_each_range(100, [&](int, int64_t begin, int64_t end) { sum += end - begin; });
    EXPECT_EQ(sum, 100) << "the pool must work on after an exception";
  }
}

TEST(ThreadPool, RangeInsideOfARangeRunsInPlace) {
  ThreadPool pool(3);
  std::atomic<int64_t> sum{0};
  pool.for_each_range(10, [&](int outer, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      pool.for_each_range(5, [&](int inner, int64_t b, int64_t e) {
        EXPECT_EQ(inner, outer);
        sum += e - b;
      });
    }
  });
  EXPECT_EQ(sum, 50);
}

TEST(ThreadPool, ManyCallersTakeTurns) {
  ThreadPool pool(2);
  std::atomic<int64_t> sum{0};
  {
    std::vector<std::jthread> callers;
    for (int c = 0; c < 4; ++c) {
      callers.emplace_back([&] {
        for (int i = 0; i < 100; ++i) {
          pool.for_each_range(37, [&](int, int64_t begin, int64_t end) { sum += end - begin; });
        }
      });
    }
  }
  EXPECT_EQ(sum, 4 * 100 * 37);
}

TEST(ThreadPool, CountsBeyond32Bits) {
  ThreadPool pool(2);
  const int64_t count = (int64_t{1} << 33) + 5;
  std::atomic<int64_t> sum{0}, last{0};
  pool.for_each_range(count, [&](int, int64_t begin, int64_t end) {
    sum += end - begin;
    if (end == count) last++;
  });
  EXPECT_EQ(sum, count);
  EXPECT_EQ(last, 1);
}

TEST(ThreadPool, MachineHasAtLeastOneProcessor) {
  EXPECT_GE(available_processors(), 1);
  EXPECT_LE(available_processors(), static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace
}  // namespace rose::runtime
