// Memory of runs.
#pragma once

#include <cstddef>

#include "slopewise/tensor/buffer.hpp"

namespace slopewise {

// What passes calculate in. Nothing in it outlives a run, so that passes which never run at the same time share one, as
// large as the largest of them needs.
class Workspace {
 public:
  // So many bytes on a 64-byte boundary, whose content is arbitrary, valid until the next call. Throws std::bad_alloc
  // when there is not that much memory; it then holds none.
  std::byte* take(Index bytes) {
    if (memory_.size() < bytes) {
      memory_ = {};  // its memory first
      memory_ = Buffer<std::byte>(bytes);
    }
    return memory_.data();
  }

 private:
  Buffer<std::byte> memory_;
};

}  // namespace slopewise
