// Which kernels this machine can run, and which are in use.
#pragma once

#include "kernels.h"

namespace group_norm {

// The best that this machine has, unless a test has forced another.
const Kernels& kernelsInUse() noexcept;

}  // namespace group_norm
