#include "models/weight_loader.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "weights/dequantize.h"
#include "weights/error.h"
#include "weights/finite.h"
#include "weights/scalar.h"

namespace rose::models {
namespace {

using weights::Format;
using weights::Tensor;

constexpr int kMostThreads = 8;
constexpr size_t kLeastHinted = 256 << 10;  // bytes worth a call to the operating system
constexpr auto kProgressInterval = std::chrono::milliseconds(100);

bool is_same(Format format, ir::Type type) {
  return (format == Format::kBF16 && type == ir::bf16) || (format == Format::kF16 && type == ir::f16) ||
         (format == Format::kF32 && type == ir::f32);
}

uint64_t row_bytes_on_device(const Tensor& tensor, ir::Type type) {
  return tensor.row_elements() * static_cast<uint64_t>(type.bits()) / 8;
}

}  // namespace

std::function<void(uint64_t, uint64_t)> loading_to_stderr(std::chrono::milliseconds interval) {
  return
      [interval, next = std::chrono::steady_clock::now() + interval](uint64_t done, uint64_t queued) mutable {
        const auto now = std::chrono::steady_clock::now();
        if (now < next) return;
        next = now + interval;
        // Not fmt::print, which throws where standard error cannot be written.
        std::fputs(fmt::format("rose: {:.1f} of {:.1f} GB of weights are loaded\n",
                               static_cast<double>(done) / 1e9, static_cast<double>(queued) / 1e9)
                       .c_str(),
                   stderr);
      };
}

void check_weight_type(ir::Type type) {
  if (type != ir::bf16 && type != ir::f16 && type != ir::f32)
    fail("weights are loaded as bf16, f16 or f32, not as {}", ir::to_string(type));
}

// What one thread has: a stream, and two buffers in turn, so that one is filled while the other is copied.
class WeightLoader::Worker {
 public:
  explicit Worker(WeightLoader& loader)
      : loader_(loader),
        on_host_(loader.context_.properties().kind == runtime::DeviceProperties::Kind::kX86) {
    if (!on_host_) stream_ = loader.context_.device().create_stream();
  }

  ~Worker() {
    // The buffers must not die under a copy.
    try {
      if (stream_) stream_->synchronize();
    } catch (const runtime::DeviceError&) {
      loader_.failed(std::current_exception());
    }
  }

  void run(const Job& job) {
    if (on_host_) {
      fill(job, reinterpret_cast<std::byte*>(job.to.address));
      return;
    }
    Slot& slot = slots_[turn_];
    turn_ = (turn_ + 1) % std::size(slots_);
    if (slot.copied) slot.copied->synchronize();
    if (slot.buffer.bytes() < job.bytes)
      slot.buffer =
          loader_.context_.device().allocate_host(std::max(job.bytes, loader_.options_.chunk_bytes));
    if (!slot.copied) slot.copied = loader_.context_.device().create_event(false);
    fill(job, static_cast<std::byte*>(slot.buffer.data()));
    if (job.owner && (owners_.empty() || owners_.back() != job.owner)) owners_.push_back(job.owner);
    stream_->upload(job.to, slot.buffer.data(), job.bytes);
    stream_->record(*slot.copied);
  }

  // All copies have arrived.
  void settle() {
    if (stream_) stream_->synchronize();
    owners_.clear();
  }

 private:
  struct Slot {
    runtime::HostBuffer buffer;
    std::unique_ptr<runtime::Event> copied;
  };

  void fill(const Job& job, std::byte* out) {
    const auto& store = loader_.checkpoint_.tensors();
    for (const Part& part : job.parts) {
      const Tensor rows = weights::rows_of(*part.tensor, part.first_row, part.rows);
      const bool hints = rows.bytes.size() >= kLeastHinted;
      if (hints) store.prefetch(rows);
      convert(rows, *part.tensor, part.first_row, job.type, out);
      if (hints) store.release(rows);
      out += part.rows * row_bytes_on_device(*part.tensor, job.type);
    }
  }

  void convert(const Tensor& rows, const Tensor& whole, uint64_t first_row, ir::Type type, std::byte* out) {
    const auto& store = loader_.checkpoint_.tensors();
    if (weights::first_non_finite(rows))
      weights::expect_finite(store, whole);  // throws, with the right element
    if (is_same(rows.format, type)) {
      std::memcpy(out, rows.bytes.data(), rows.bytes.size());
      return;
    }
    if (type == ir::f32 && reinterpret_cast<uintptr_t>(out) % alignof(float) == 0) {
      weights::dequantize(rows.format, rows.bytes, {reinterpret_cast<float*>(out), rows.elements});
      return;
    }
    floats_.resize(rows.elements);
    weights::dequantize(rows.format, rows.bytes, floats_);
    if (type == ir::f32) {
      std::memcpy(out, floats_.data(), floats_.size() * sizeof(float));
      return;
    }
    for (uint64_t i = 0; i < rows.elements; ++i) {
      const uint16_t code =
          type == ir::bf16 ? weights::float_to_bfloat16(floats_[i]) : weights::float_to_half(floats_[i]);
      if (type == ir::f16 && (code & 0x7c00) == 0x7c00)
        weights::fail(
            store.path_of(whole), "tensor " + weights::quote_name(whole.name),
            "holds {} at element {}, beyond the largest number of f16 (65504); run the model in bf16",
            floats_[i], first_row * whole.row_elements() + i);
      std::memcpy(out + 2 * i, &code, sizeof code);
    }
  }

  WeightLoader& loader_;
  bool on_host_;
  std::unique_ptr<runtime::Stream> stream_;
  Slot slots_[2];
  size_t turn_ = 0;
  std::vector<float> floats_;
  std::vector<std::shared_ptr<const void>> owners_;  // of what copies under way write to
};

WeightLoader::WeightLoader(runtime::Context& context, const Checkpoint& checkpoint,
                           WeightLoaderOptions options)
    : context_(context), checkpoint_(checkpoint), options_(std::move(options)) {
  if (options_.threads <= 0)
    options_.threads =
        std::clamp<int>(static_cast<int>(std::thread::hardware_concurrency()), 1, kMostThreads);
}

WeightLoader::~WeightLoader() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    jobs_.clear();
  }
  work_.notify_all();
}

void WeightLoader::copy(const Tensor& tensor, runtime::DevicePointer to, ir::Type type) {
  const Tensor* parts[] = {&tensor};
  copy(parts, to, type);
}

void WeightLoader::copy(std::span<const Tensor* const> parts, runtime::DevicePointer to, ir::Type type,
                        int64_t group, std::shared_ptr<const void> owner) {
  check_weight_type(type);
  uint64_t all = 0;
  std::vector<std::shared_ptr<const Tensor>> tensors;
  for (const Tensor* t : parts) {
    if (t->row_elements() != parts[0]->row_elements())
      fail("{}: {}: has rows of {} elements, but must form one matrix with {}, which has {}",
           checkpoint_.tensors().path_of(*t).string(), t->name, t->row_elements(), parts[0]->name,
           parts[0]->row_elements());
    if (group > 0 && (t->rows() != parts[0]->rows() || t->rows() % static_cast<uint64_t>(group) != 0))
      fail("{}: {}: {} rows cannot be mixed with those of {} in groups of {}",
           checkpoint_.tensors().path_of(*t).string(), t->name, t->rows(), parts[0]->name, group);
    all += t->elements;
    tensors.push_back(std::make_shared<const Tensor>(*t));
  }
  if (all == 0) return;
  const size_t row_bytes = row_bytes_on_device(*parts[0], type);
  Job pending{{}, to, type, 0, std::move(owner)};
  if (group > 0) {
    const auto step = static_cast<uint64_t>(group);
    for (uint64_t row = 0; row < parts[0]->rows(); row += step)
      for (const auto& t : tensors) add(pending, {t, row, step}, row_bytes);
  } else {
    for (const auto& t : tensors) add(pending, {t, 0, t->rows()}, row_bytes);
  }
  if (pending.bytes > 0) queue(std::move(pending));
}

// Appends rows to a job, and sends it off whenever it is full.
void WeightLoader::add(Job& pending, const Part& part, size_t row_bytes) {
  Part rest = part;
  while (rest.rows > 0) {
    const size_t room =
        options_.chunk_bytes > pending.bytes ? (options_.chunk_bytes - pending.bytes) / row_bytes : 0;
    // A row longer than a chunk goes by itself.
    const uint64_t count =
        std::min<uint64_t>(rest.rows, pending.bytes == 0 ? std::max<size_t>(room, 1) : room);
    if (count > 0) {
      pending.parts.push_back({rest.tensor, rest.first_row, count});
      pending.bytes += count * row_bytes;
      rest.first_row += count, rest.rows -= count;
    }
    if (rest.rows > 0 || pending.bytes >= options_.chunk_bytes) {
      const auto after = pending.to + static_cast<int64_t>(pending.bytes);
      const ir::Type type = pending.type;
      auto owner = pending.owner;
      queue(std::move(pending));
      pending = Job{{}, after, type, 0, std::move(owner)};
    }
  }
}

void WeightLoader::queue(Job job) {
  queued_ += job.bytes;
  {
    const std::lock_guard lock(mutex_);
    if (failure_) return;  // finish() tells
    jobs_.push_back(std::move(job));
    ++waiting_;
  }
  work_.notify_one();
  if (!threads_.empty()) return;
  for (int i = 0; i < options_.threads; ++i)
    threads_.emplace_back([this] {
      try {
        Worker worker(*this);
        Job next_job;
        while (next(next_job)) {
          worker.run(next_job);
          done(next_job.bytes);
        }
        worker.settle();
      } catch (...) {
        failed(std::current_exception());
      }
    });
}

bool WeightLoader::next(Job& job) {
  std::unique_lock lock(mutex_);
  work_.wait(lock, [&] { return !jobs_.empty() || closed_ || failure_; });
  if (jobs_.empty() || failure_) return false;
  job = std::move(jobs_.front());
  jobs_.pop_front();
  return true;
}

void WeightLoader::done(size_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    done_ += bytes;
    --waiting_;
  }
  progress_.notify_all();
}

void WeightLoader::failed(std::exception_ptr error) {
  {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::move(error);
    jobs_.clear();
  }
  work_.notify_all();
  progress_.notify_all();
}

void WeightLoader::finish() {
  {
    std::unique_lock lock(mutex_);
    auto ready = [&] { return waiting_ == 0 || failure_; };
    while (!progress_.wait_for(lock, kProgressInterval, ready)) {
      if (!options_.progress) continue;
      const uint64_t now = done_;
      lock.unlock();
      options_.progress(now, queued_);
      lock.lock();
    }
    closed_ = true;
  }
  work_.notify_all();
  threads_.clear();  // joins: each thread waits for its stream
  if (options_.progress) options_.progress(done_, queued_);
  const std::lock_guard lock(mutex_);
  closed_ = false;
  waiting_ = 0;
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

}  // namespace rose::models
