#include "cli/model_bench.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "cli/making.h"
#include "cli/measure.h"
#include "kernels/gemm/x86_weights.h"
#include "models/encoder.h"
#include "models/memory_plan.h"

namespace rose::cli {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kX86WarmPrompt =
    16;  // enough to compile and touch everything; a GPU also captures its graphs
constexpr int64_t kWarmTokens = 3;

// A folder of compiled kernels of its own for one run, and no help from the driver's.
class ColdCache {
 public:
  ColdCache() : path_((fs::temp_directory_path() / "rose-bench-XXXXXX").string()) {
    if (!::mkdtemp(path_.data()))
      throw CliError("cannot make a folder in " + fs::temp_directory_path().string(), kFailed);
    ::setenv("ROSE_CACHE", path_.c_str(), 1);
    ::setenv("CUDA_CACHE_DISABLE", "1", 1);
  }
  ~ColdCache() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  ColdCache(const ColdCache&) = delete;
  ColdCache& operator=(const ColdCache&) = delete;

 private:
  std::string path_;
};

std::vector<int32_t> random_tokens(int64_t count, int64_t vocab, uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::uniform_int_distribution<int32_t> uniform(0, static_cast<int32_t>(vocab - 1));
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  for (auto& token : tokens) token = uniform(engine);
  return tokens;
}

bool on_gpu(const runtime::Context& context) {
  return const_cast<runtime::Context&>(context).properties().kind == runtime::DeviceProperties::Kind::kCuda;
}

// The x86 format of most bytes of the checkpoint, in which the matrix rate is measured.
std::string common_format(const models::Checkpoint& checkpoint) {
  weights::Format most = weights::Format::kF32;
  uint64_t bytes = 0;
  for (auto [format, count] : checkpoint.tensors().bytes_by_format())
    if (count > bytes) most = format, bytes = count;
  std::string name(weights::name(most));
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto formats = kernels::x86_weight_formats();
  return std::ranges::any_of(formats, [&](const auto& f) { return f.name == name; }) ? name : "f32";
}

class Bench {
 public:
  explicit Bench(const ModelBenchOptions& options)
      : options_(options),
        checkpoint_(options.random.empty() ? models::Checkpoint::open(find_model_path(options.model.model))
                                           : models::Checkpoint::random(options.random)),
        context_(open_model_context(options.model)) {
    report_.open_seconds = watch_.lap();
    const auto& p = context_->properties();
    report_.model = checkpoint_.name(), report_.architecture = checkpoint_.architecture();
    report_.random = !options.random.empty();
    report_.device = p.name, report_.target = p.target, report_.processors = p.processors;
    report_.parameters = checkpoint_.tensors().total_elements();
    report_.file_bytes = static_cast<double>(checkpoint_.tensors().total_bytes());
    auto encoders = models::encoder_architectures();
    report_.encoder = std::ranges::count(encoders, checkpoint_.architecture()) > 0;
  }

  ModelReport run() {
    if (report_.encoder)
      load_encoder();
    else
      load_decoder();
    for (int64_t prompt : options_.prompts)
      for (int64_t batch : options_.batches) warm_up(prompt, batch);
    report_.warm_up_seconds = watch_.lap();
    count_compiling();
    auto memory = context_->device().memory_use();
    report_.memory_total = static_cast<double>(memory.total_bytes);
    report_.memory_used = static_cast<double>(memory.total_bytes - memory.free_bytes);
    for (int64_t prompt : options_.prompts)
      for (int64_t batch : options_.batches)
        report_.rows.push_back(report_.encoder ? texts(prompt, batch) : answers(prompt, batch));
    report_.ceilings.read = measure_memory(*context_).read;
    report_.ceilings.matrix = measure_matrix(*context_, matrix_format(),
                                             precision_ == models::Precision::kExact, report_.matrix_what);
    return std::move(report_);
  }

 private:
  std::string matrix_format() const {
    return precision_ == models::Precision::kBf16    ? "bf16"
           : precision_ == models::Precision::kExact ? "f32"
                                                     : common_format(checkpoint_);
  }

  void load_encoder() {
    encoder_ = models::load_encoder(*context_, checkpoint_, precision_);
    loaded(encoder_->weight_bytes());
    for (int64_t prompt : options_.prompts)
      if (prompt > encoder_->config().max_tokens)
        throw CliError(fmt::format("--prompt {}: a text of this model has at most {} tokens", prompt,
                                   encoder_->config().max_tokens));
  }

  void load_decoder() {
    const auto config = models::read_decoder_config(checkpoint_);
    int64_t need = 0, most_batch = 1;
    for (int64_t prompt : options_.prompts)
      for (int64_t batch : options_.batches) {
        const int64_t length = prompt + std::max<int64_t>(options_.generate, kWarmTokens);
        if (length >= config.context_length)
          throw CliError(
              fmt::format("--prompt {} with --generate {} is beyond the model's context of {} tokens", prompt,
                          options_.generate, config.context_length));
        need = std::max(need, batch * ((length + block_) / block_) * block_);
        most_batch = std::max(most_batch, batch);
      }
    if (options_.context > 0 && options_.context < need)
      throw CliError(fmt::format(
          "--context {}: prompts and answers of the largest row need {} tokens; give as many, or smaller "
          "--batch, --prompt or --generate",
          options_.context, need));
    const int64_t cache_tokens = options_.context > 0 ? options_.context : need;
    models::expect_to_fit(
        *context_, checkpoint_,
        models::plan_memory(*context_, checkpoint_, config, precision_, cache_tokens, most_batch));
    decoder_ = models::load_decoder(*context_, checkpoint_, precision_);
    engine::EngineOptions engine_options;
    engine_options.cache_tokens = cache_tokens;
    engine_options.batch = most_batch;
    engine_ = std::make_unique<engine::GenerationEngine>(*context_, *decoder_, nullptr, engine_options);
    report_.cache_tokens = engine_options.cache_tokens;
    report_.cache_bytes = static_cast<double>(engine_->cache_bytes());
    loaded(decoder_->weight_bytes());
  }

  void loaded(int64_t weight_bytes) {
    context_->device().synchronize();
    report_.weight_bytes = static_cast<double>(weight_bytes);
    report_.load_seconds = watch_.lap();
  }

  void count_compiling() {
    const auto counters = context_->cache().counters();
    report_.compile_seconds = counters.build_seconds + counters.load_seconds + counters.disk_seconds;
    report_.built = counters.builds, report_.from_disk = counters.disk_hits;
  }

  void warm_up(int64_t prompt, int64_t batch) {
    const int64_t tokens = on_gpu(*context_) ? prompt : std::min(prompt, kX86WarmPrompt);
    if (report_.encoder)
      encode(tokens, batch);
    else
      answer(tokens, batch, options_.generate == 0 ? 1 : on_gpu(*context_) ? options_.generate : kWarmTokens);
  }

  // One round of texts; its seconds.
  double encode(int64_t tokens, int64_t batch) {
    models::EncoderStep step;
    for (int64_t i = 0; i < batch; ++i) {
      auto text = random_tokens(tokens, encoder_->config().vocab, static_cast<uint64_t>(i) + 1);
      step.tokens.insert(step.tokens.end(), text.begin(), text.end());
      step.first_tokens.push_back(static_cast<int32_t>(step.tokens.size()));
    }
    step.types.assign(step.tokens.size(), 0);
    Stopwatch watch;
    encoder_->run(step);
    context_->stream().synchronize();
    return watch.lap();
  }

  ModelBenchRow texts(int64_t prompt, int64_t batch) {
    ModelBenchRow row{prompt, batch};
    std::vector<double> seconds;
    for (int i = 0; i < options_.repeats; ++i) seconds.push_back(encode(prompt, batch));
    row.first_token = median(seconds);
    row.prompt_work = encoder_work(encoder_->config(), report_.weight_bytes, batch, prompt);
    return row;
  }

  struct Answer {
    double first_token = 0;
    std::vector<double> steps;  // of generating
  };

  // `batch` requests at once, each with `generate` tokens.
  Answer answer(int64_t prompt, int64_t batch, int64_t generate) {
    std::vector<int64_t> ids;
    const int64_t vocab = decoder_->config().vocab;
    for (int64_t i = 0; i < batch; ++i) {
      engine::GenerationRequest request;
      request.prompt = random_tokens(prompt, vocab, ++seed_);
      request.max_tokens = generate;
      request.sampling.temperature = 0;
      ids.push_back(engine_->submit(std::move(request)));
    }
    std::vector<double> steps;
    for (bool more = true; more;) {
      Stopwatch watch;
      more = engine_->step();
      steps.push_back(watch.lap());
    }
    Answer result;
    for (int64_t id : ids) {
      auto answer = engine_->take(id);
      if (!answer || static_cast<int64_t>(answer->tokens.size()) != generate)
        throw CliError("a request of the benchmark did not end with all of its tokens", kFailed);
      result.first_token = std::max(result.first_token, answer->first_token_seconds);
    }
    // All prompts end in one step, for they are equally long; each later step adds one token to every answer.
    const auto generating =
        static_cast<std::ptrdiff_t>(std::min<int64_t>(generate - 1, static_cast<int64_t>(steps.size()) - 1));
    result.steps.assign(steps.end() - generating, steps.end());
    return result;
  }

  // Of the weights, what every step reads. On GPUs that leaves out the table of embeddings; x86 keeps it in
  // the file.
  double weights_read(const models::DecoderConfig& config) const {
    const auto compute = models::compute_on(context_->properties());
    return compute.gpu ? multiplied_elements(config) * static_cast<double>(compute.bytes())
                       : report_.weight_bytes;
  }

  ModelBenchRow answers(int64_t prompt, int64_t batch) {
    ModelBenchRow row{prompt, batch, options_.generate};
    std::vector<double> first, steps;
    for (int i = 0; i < options_.repeats; ++i) {
      auto result = answer(prompt, batch, std::max<int64_t>(options_.generate, 1));
      first.push_back(result.first_token);
      steps.insert(steps.end(), result.steps.begin(), result.steps.end());
    }
    row.first_token = median(first);
    if (!steps.empty()) row.step = median(steps), row.slowest_step = *std::ranges::max_element(steps);
    const auto& config = decoder_->config();
    row.prompt_work = cli::prompt_work(config, weights_read(config), batch, prompt);
    const int64_t capacity = (report_.cache_tokens + block_ - 1) / block_ * block_;
    const double per_token = report_.cache_bytes / static_cast<double>(capacity);
    row.step_work =
        decode_work(config, weights_read(config), per_token, batch, prompt + options_.generate / 2);
    return row;
  }

  const ModelBenchOptions& options_;
  Stopwatch watch_;
  models::Checkpoint checkpoint_;
  std::unique_ptr<runtime::Context> context_;
  models::Precision precision_ = precision_of(options_.model);
  int64_t block_ = models::compute_on(context_->properties()).block_size;  // the cache has whole blocks
  std::unique_ptr<models::Encoder> encoder_;
  std::unique_ptr<models::Decoder> decoder_;
  std::unique_ptr<engine::GenerationEngine> engine_;
  ModelReport report_;
  uint64_t seed_ = 0;
};

void check(const ModelBenchOptions& o) {
  auto positive = [](const char* option, const std::vector<int64_t>& values) {
    if (values.empty()) throw CliError(fmt::format("{}: give at least one number", option));
    for (int64_t v : values)
      if (v < 1 || v > 1 << 24) throw CliError(fmt::format("{} {}: use 1 to 16777216", option, v));
  };
  positive("--prompt", o.prompts), positive("--batch", o.batches);
  if (o.generate < 0 || o.generate > 1 << 24)
    throw CliError(fmt::format("--generate {}: use 0 to 16777216", o.generate));
  if (o.context < 0) throw CliError(fmt::format("--context {}: use 0 (what is needed) or more", o.context));
  if (o.repeats < 1) throw CliError(fmt::format("--repeat {}: use 1 or more", o.repeats));
  if (o.random.empty() == o.model.model.empty())
    throw CliError("name a MODEL, or a configuration with --random-weights");
}

}  // namespace

ModelReport bench_model(const ModelBenchOptions& options) {
  check(options);
  std::optional<ColdCache> cold;
  if (options.cold) cold.emplace();
  return Bench(options).run();
}

}  // namespace rose::cli
