// How the rows are shared out to threads. None of it changes a bit of the result.
#pragma once

#include "group_norm.h"
#include "rows.h"

namespace group_norm {

// False if there is no memory.
bool normalizeAll(const Rows& rows, const Threads& threads);

}  // namespace group_norm
