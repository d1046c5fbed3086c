// How the rows are shared out to threads. None of it changes a bit of the result.
#pragma once

#include "blocked_rows.h"
#include "group_norm.h"
#include "rows.h"

namespace group_norm {

// False if there is no memory.
template <typename Rows>
bool normalizeAll(const Rows& rows, const Threads& threads);
extern template bool normalizeAll(const Rows&, const Threads&);
extern template bool normalizeAll(const BlockedRows&, const Threads&);

}  // namespace group_norm
