// `rose bench model`: how fast a model reads prompts and writes answers, and how far that is from what the
// device could do.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/model_bench.h"
#include "cli/table.h"

namespace rose::cli {
namespace {

struct Options : ModelBenchOptions {
  bool json = false;
};

std::string percent(double floor, double seconds) {
  return seconds > 0 ? fmt::format("{:.1f}", 100 * floor / seconds) : "-";
}
std::string rate(double value) {
  return value >= 100 ? fmt::format("{:.0f}", value) : fmt::format("{:.2f}", value);
}

void print_head(const ModelReport& r) {
  fmt::print("{} ({}, {:.2f} billion parameters{}) on {}, {}, {} {}\n", r.model, r.architecture,
             static_cast<double>(r.parameters) / 1e9, r.random ? ", random weights" : "", r.device, r.target,
             r.processors, r.target == "x86" ? "threads" : "processors");
  fmt::print(
      "memory: weights {}{}; in use {} of {}\n", bytes_text(r.weight_bytes),
      r.encoder ? "" : fmt::format(", cache {} for {} tokens", bytes_text(r.cache_bytes), r.cache_tokens),
      bytes_text(r.memory_used), bytes_text(r.memory_total));
  fmt::print(
      "start: opened in {}, weights loaded in {} ({}/s of the file), first steps in {}; compiling took {} of "
      "that ({} kernels "
      "built, {} found on disk)\n",
      seconds_text(r.open_seconds), seconds_text(r.load_seconds), bytes_text(r.file_bytes / r.load_seconds),
      seconds_text(r.warm_up_seconds), seconds_text(r.compile_seconds), r.built, r.from_disk);
  fmt::print(
      "measured now: memory is read at {:.4g} GB/s, matrices are multiplied at {:.4g} TFLOP/s (own product, "
      "{})\n\n",
      r.ceilings.read / 1e9, r.ceilings.matrix / 1e12, r.matrix_what);
}

void print_text(const ModelReport& r) {
  print_head(r);
  if (r.encoder) {
    Table table({">tokens", ">texts", ">time", ">texts/s", ">tokens/s", ">% of floor", "bound by"});
    for (const auto& row : r.rows)
      table.add({std::to_string(row.prompt), std::to_string(row.batch), seconds_text(row.first_token),
                 rate(static_cast<double>(row.batch) / row.first_token), rate(row.prompt_rate()),
                 percent(floor_seconds(row.prompt_work, r.ceilings), row.first_token),
                 bound_of(row.prompt_work, r.ceilings)});
    fmt::print("{}", table.text());
  } else {
    Table table({">prompt", ">batch", ">first token", ">prompt tok/s", ">% of floor", ">ms/step", ">worst",
                 ">answer tok/s", ">% of floor", "bound by"});
    for (const auto& row : r.rows)
      table.add({std::to_string(row.prompt), std::to_string(row.batch), seconds_text(row.first_token),
                 rate(row.prompt_rate()),
                 percent(floor_seconds(row.prompt_work, r.ceilings), row.first_token),
                 row.step > 0 ? fmt::format("{:.3f}", row.step * 1e3) : "-",
                 row.step > 0 ? fmt::format("{:.3f}", row.slowest_step * 1e3) : "-",
                 row.step > 0 ? rate(row.step_rate()) : "-",
                 percent(floor_seconds(row.step_work, r.ceilings), row.step),
                 row.step > 0 ? bound_of(row.step_work, r.ceilings) : bound_of(row.prompt_work, r.ceilings)});
    fmt::print("{}", table.text());
  }
  fmt::print(
      "\nThe floor is the longer of two times: the bytes that must be read (all weights once{}) at the speed "
      "of memory, and the\n"
      "operations of matrix products and attention at the speed of matrices, both measured now.\n",
      r.encoder ? ""
                : "; in a step of an answer\nalso the keys and values of every sequence in the middle of its "
                  "answer");
}

nlohmann::ordered_json work_json(const Work& work, const Ceilings& ceilings, double seconds) {
  const double floor = floor_seconds(work, ceilings);
  return {{"bytes", work.bytes},
          {"operations", work.operations},
          {"floor_seconds", floor},
          {"bound", bound_of(work, ceilings)},
          {"share", seconds > 0 ? floor / seconds : 0}};
}

void print_json(const ModelReport& r) {
  nlohmann::ordered_json json{{"model", r.model},           {"architecture", r.architecture},
                              {"random_weights", r.random}, {"parameters", r.parameters},
                              {"device", r.device},         {"target", r.target},
                              {"processors", r.processors}};
  json["memory"] = {{"weight_bytes", r.weight_bytes},
                    {"cache_bytes", r.cache_bytes},
                    {"cache_tokens", r.cache_tokens},
                    {"used_bytes", r.memory_used},
                    {"total_bytes", r.memory_total}};
  json["start"] = {{"open_seconds", r.open_seconds},       {"load_seconds", r.load_seconds},
                   {"file_bytes", r.file_bytes},           {"warm_up_seconds", r.warm_up_seconds},
                   {"compile_seconds", r.compile_seconds}, {"kernels_built", r.built},
                   {"kernels_from_disk", r.from_disk}};
  json["ceilings"] = {{"read_bytes_per_second", r.ceilings.read},
                      {"matrix_operations_per_second", r.ceilings.matrix},
                      {"matrix", r.matrix_what}};
  for (const auto& row : r.rows) {
    nlohmann::ordered_json one{{"prompt", row.prompt}, {"batch", row.batch}};
    if (r.encoder) {
      one["seconds"] = row.first_token;
      one["texts_per_second"] = static_cast<double>(row.batch) / row.first_token;
      one["tokens_per_second"] = row.prompt_rate();
      one["work"] = work_json(row.prompt_work, r.ceilings, row.first_token);
    } else {
      one["generate"] = row.generated;
      one["first_token_seconds"] = row.first_token;
      one["prompt_tokens_per_second"] = row.prompt_rate();
      one["prompt_work"] = work_json(row.prompt_work, r.ceilings, row.first_token);
      if (row.step > 0) {
        one["step_seconds"] = row.step, one["slowest_step_seconds"] = row.slowest_step;
        one["tokens_per_second"] = row.step_rate();
        one["step_work"] = work_json(row.step_work, r.ceilings, row.step);
      }
    }
    json["rows"].push_back(std::move(one));
  }
  fmt::print("{}\n", json.dump(2));
}

}  // namespace

void add_bench_model(CLI::App& parent, Action& action) {
  CLI::App* command =
      parent.add_subcommand("model", "Measure how fast a model reads prompts and writes answers");
  auto o = std::make_shared<Options>();
  command->add_option("MODEL", o->model.model, "A name (smollm2), a folder or a .gguf or .safetensors file");
  command->add_option(
      "--random-weights", o->random,
      "Instead of a MODEL: a config.json, or the name of a shipped configuration\n(Llama-3.1-8B, Qwen3-8B, "
      "Qwen3-0.6B, Qwen3-Embedding-0.6B, bge-large)");
  command->add_option("--device", o->model.device, "auto, x86, cuda or cuda:N")->capture_default_str();
  command->add_option("--threads", o->model.threads, "Threads of the x86 device; 0: all processors")
      ->capture_default_str();
  command->add_option("--dtype", o->model.dtype, "As for `rose generate`: auto, f32 or bf16")
      ->capture_default_str();
  command
      ->add_option("--prompt", o->prompts,
                   "Tokens of a prompt (of a text); several numbers make several rows")
      ->delimiter(',')
      ->capture_default_str();
  command->add_option("--generate", o->generate, "Tokens of an answer; 0: prompts alone")
      ->capture_default_str();
  command->add_option("--batch", o->batches, "Requests (texts) at once; several numbers make several rows")
      ->delimiter(',')
      ->capture_default_str();
  command
      ->add_option("--context", o->context,
                   "Tokens of the cache of keys and values; 0: what the largest row needs")
      ->capture_default_str();
  command->add_option("--repeat", o->repeats, "Rounds of each row; the median counts")->capture_default_str();
  command->add_flag("--cold", o->cold, "Compile all kernels, whatever earlier runs have left");
  command->add_flag("--json", o->json, "Print JSON (seconds and bytes)");
  command->footer(
      "Examples:\n  rose bench model smollm2 --prompt 128,512 --batch 1,8\n"
      "  rose bench model --random-weights Llama-3.1-8B --device cuda:0 --prompt 1024 --batch 1,64\n"
      "  rose bench model --random-weights bge-large --prompt 512 --batch 8");
  command->callback([&action, o] {
    action = [o] {
      auto report = bench_model(*o);
      if (o->json)
        print_json(report);
      else
        print_text(report);
      return kDone;
    };
  });
}

}  // namespace rose::cli
