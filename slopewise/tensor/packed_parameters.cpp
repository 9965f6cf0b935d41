// What of Parameters needs a library that multiplies; the rest of it is in slopewise::core.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include "slopewise/tensor/parameters.hpp"

namespace slopewise {
namespace {

// Gives the whole pages within [data, data + bytes) back to the system; they read as zeros from then on.
void release_pages(void* data, std::size_t bytes) {
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const std::uintptr_t first = (reinterpret_cast<std::uintptr_t>(data) + page - 1) / page * page;
  const std::uintptr_t last = (reinterpret_cast<std::uintptr_t>(data) + bytes) / page * page;
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

}  // namespace

template <class T>
const WeightProduct& Parameters<T>::packed(Index offset, Index rows, Index columns,
                                           bool bfloat16) const requires std::same_as<T, float> {
  const Place place{offset, rows, columns};
  auto found = packed_.find(place);
  if (found == packed_.end()) {
    found = packed_.emplace(place, Packed{WeightProduct::make(rows, columns)}).first;
    if (changes_may_wait_) found->second.matrix->let_changes_wait();
  }
  Packed& entry = found->second;
  if (entry.state == State::kStale) {
    entry.matrix->pack(values(offset, rows * columns).data());
    entry.state = State::kEqual;
  }
  if (bfloat16) entry.matrix->keep_bfloat16();
  return *entry.matrix;
}

template <class T>
void Parameters<T>::compact(Index offset, Index rows, Index columns) requires std::same_as<T, float> {
  packed(offset, rows, columns);
  edit_packed(offset, rows, columns);
  release_pages(values_.data() + offset, static_cast<std::size_t>(rows * columns) * sizeof(T));
}

template const WeightProduct& Parameters<float>::packed(Index, Index, Index, bool) const;
template void Parameters<float>::compact(Index, Index, Index);

}  // namespace slopewise
