// For operations on vectors: a call would pass them through memory.
#pragma once

#define ALWAYS_INLINE __attribute__((always_inline)) inline
