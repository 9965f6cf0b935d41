// Uninitialised memory on 64-byte boundaries, what every kernel reads and writes.
#pragma once

#include <cstdlib>
#include <memory>
#include <new>

#include "slopewise/base/shape.hpp"

namespace slopewise {

template <class T>
class Buffer {
 public:
  Buffer() = default;
  // Throws std::bad_alloc when there is not that much memory.
  explicit Buffer(Index count)
      : data_(count > 0 ? static_cast<T*>(::operator new(bytes(count), kAlignment)) : nullptr), count_(count) {}

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  Index size() const { return count_; }
  T& operator[](Index i) { return data_.get()[i]; }
  const T& operator[](Index i) const { return data_.get()[i]; }

 private:
  static constexpr std::align_val_t kAlignment{64};
  static std::size_t bytes(Index count) {
    std::size_t bytes = 0;
    if (__builtin_mul_overflow(static_cast<std::size_t>(count), sizeof(T), &bytes)) throw std::bad_alloc();
    return bytes;
  }
  struct Free {
    void operator()(T* data) const { ::operator delete(data, kAlignment); }
  };
  std::unique_ptr<T[], Free> data_;
  Index count_ = 0;
};

}  // namespace slopewise
