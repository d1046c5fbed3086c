// The process's buffer pool as an allocator of ONNX Runtime's.
#pragma once

#include "c_api.h"

namespace ort {

// Lives as long as the process.
Allocator* poolAllocator();

}  // namespace ort
