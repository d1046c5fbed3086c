// What belongs to one JavaScript environment: the main thread's or a worker's.
#pragma once

#include <napi.h>

struct AddonData {
  Napi::FunctionReference sessionConstructor;
};
