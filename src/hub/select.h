// Which files of a model are worth fetching.
#pragma once

#include <string>
#include <vector>

#include "hub/remote.h"

namespace rose::hub {

struct Selection {
  std::vector<std::string> include, exclude;  // globs of the shell, whose * matches slashes too
  std::string file;                           // one GGUF file by its name
  std::string quant;                          // or by its quantisation, "Q4_K_M"
};

struct Chosen {
  std::vector<RemoteFile> files;  // in the server's order
  std::string gguf;  // the GGUF file (the first of its parts) that was chosen; empty: safetensors
  std::string note;  // what was decided for the user, or ""
};

// With `include`: what matches it. With `file` or `quant`: that GGUF model, all its parts. Else safetensors
// with configuration and tokenizer, else one GGUF model (Q4_K_M, Q8_0 or the only one). `exclude` takes away
// last. Throws HubError when nothing is left, when several would fit, and when the model has only pickles,
// which are programs and are never run.
Chosen select_files(const std::vector<RemoteFile>& files, const Selection& selection, const ModelId& id);

// True when `name` carries the quantisation `quant`: "x-Q4_K_M.gguf" and "Q4_K_M/x-00001-of-00002.gguf" carry
// q4_k_m; "x-IQ4_K_M.gguf" does not.
bool has_quant(const std::string& name, const std::string& quant);

// The first part of a split GGUF file's name, or the name itself: "x-00002-of-00003.gguf" →
// "x-00001-of-00003.gguf".
std::string first_part(const std::string& name);

}  // namespace rose::hub
