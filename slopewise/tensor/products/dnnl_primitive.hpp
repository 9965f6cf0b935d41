// What oneDNN calculates, made ready for one thread and kept for the next call of the like.
#pragma once

#include <omp.h>

#include <cstddef>
#include <initializer_list>
#include <list>
#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <utility>
#include <vector>

#include "slopewise/base/memory.hpp"
#include "slopewise/tensor/buffer.hpp"

namespace slopewise {

// oneDNN decides how to cut its work when a primitive is made; made for one thread, it gives the same bits on any
// number.
class OneThread {
 public:
  OneThread() : threads_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(threads_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int threads_;
};

inline const dnnl::engine& dnnl_engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

inline dnnl::stream& dnnl_stream() {
  thread_local dnnl::stream own(dnnl_engine());
  return own;
}

// A primitive made ready for one thread, with the objects that say where its operands are: making those anew would cost
// four times as much as the rest of a call. It is made with scratchpad_mode::user, as the library's own scratch is not
// safe across threads.
class ReadyPrimitive {
 public:
  // One operand: its role (DNNL_ARG_…) and how it lies.
  using Operand = std::pair<int, dnnl::memory::desc>;

  ReadyPrimitive(dnnl::primitive made, const std::vector<Operand>& operands, const dnnl::memory::desc& scratch)
      : primitive_(std::move(made)), scratch_bytes_(static_cast<Index>(scratch.get_size())) {
    for (const auto& [role, desc] : operands) add(role, desc);
    add(DNNL_ARG_SCRATCHPAD, scratch);
  }

  // With the operands where they are, in the order in which they were described. Throws dnnl::error.
  void run(std::initializer_list<const void*> operands) {
    thread_local Buffer<std::byte> scratch;
    if (scratch.size() < scratch_bytes_) scratch = Buffer<std::byte>(scratch_bytes_);
    auto memory = memories_.begin();
    for (const void* operand : operands) (memory++)->set_data_handle(const_cast<void*>(operand));
    memory->set_data_handle(scratch.data());
    const OneThread one_thread;
    dnnl::error::wrap_c_api(dnnl_primitive_execute(primitive_.get(), dnnl_stream().get(),
                                                   static_cast<int>(arguments_.size()), arguments_.data()),
                            "oneDNN cannot calculate");
    dnnl_stream().wait();
  }

 private:
  void add(int role, const dnnl::memory::desc& desc) {
    memories_.emplace_back(desc, dnnl_engine(), nullptr);
    arguments_.push_back({role, memories_.back().get()});
  }

  dnnl::primitive primitive_;
  std::vector<dnnl::memory> memories_;
  std::vector<dnnl_exec_arg_t> arguments_;
  Index scratch_bytes_;
};

// What a thread has made, by what it is for, bounded: shapes change with batches and models for as long as a process
// lives, and what was not used for longest makes room. What a thread makes costs little where another has made the
// like, as oneDNN keeps the code of some hundred primitives.
template <class Key, class Made>
class ReadyPrimitives {
 public:
  template <class Make>
  Made& get(const Key& key, Make make) {
    const auto found = places_.find(key);
    if (found != places_.end()) {
      made_.splice(made_.begin(), made_, found->second);
      return found->second->second;
    }
    require_room(kRoom);
    made_.emplace_front(key, make(key));
    places_.emplace(key, made_.begin());
    if (made_.size() > kMostMade) {
      places_.erase(made_.back().first);
      made_.pop_back();
    }
    return made_.front().second;
  }

 private:
  static constexpr std::size_t kMostMade = 512;
  // More than code and tables of a primitive take; oneDNN 2.6 crashes where it gets none.
  static constexpr std::int64_t kRoom = std::int64_t{32} << 20;

  using Entry = std::pair<Key, Made>;
  std::list<Entry> made_;  // the one used last first
  std::map<Key, typename std::list<Entry>::iterator> places_;
};

}  // namespace slopewise
