// Phi-3, Phi-3.5 and Phi-4: their configuration. See decoder.h for the arguments.
#pragma once

#include "models/decoder.h"

namespace rose::models {

DecoderConfig configure_phi3(const Checkpoint& checkpoint);

}  // namespace rose::models
