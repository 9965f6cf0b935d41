#include "slopewise/tensor/matmul.hpp"

#include <cblas-openblas.h>
#include <omp.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <oneapi/dnnl/dnnl.hpp>
#include <type_traits>

namespace slopewise {
namespace {

// A weight matrix of at most this many rows stays as it is, for OpenBLAS: oneDNN pads the width of a product to 64.
constexpr Index kNarrow = 16;

// Callers cut the work, so OpenBLAS must not cut it again.
[[maybe_unused]] const bool kSingleThreadedBlas = [] {
  openblas_set_num_threads(1);
  return true;
}();

CBLAS_TRANSPOSE blas_transpose(bool transposed) {
  return transposed ? CblasTrans : CblasNoTrans;
}

// oneDNN decides how to cut a product when it is made; made for one thread, it gives the same bits on any number.
class OneThread {
 public:
  OneThread() : threads_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(threads_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int threads_;
};

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

dnnl::stream& stream() {
  thread_local dnnl::stream own(engine());
  return own;
}

}  // namespace

template <class T>
void matmul(Index m, Index n, Index k, T alpha, Operand<T> a, Operand<T> b, T beta, T* c, Index c_stride) {
  if (m == 0 || n == 0) return;
  const auto stride = [](const Operand<T>& operand) {
    return static_cast<blasint>(std::max<Index>(operand.stride, 1));
  };
  const auto gemm = [] {
    if constexpr (std::is_same_v<T, float>) {
      return cblas_sgemm;
    } else {
      return cblas_dgemm;
    }
  }();
  gemm(CblasRowMajor, blas_transpose(a.transposed), blas_transpose(b.transposed), static_cast<blasint>(m),
       static_cast<blasint>(n), static_cast<blasint>(k), alpha, a.data, stride(a), b.data, stride(b), beta, c,
       static_cast<blasint>(c_stride));
}

template void matmul<float>(Index, Index, Index, float, Operand<float>, Operand<float>, float, float*, Index);
template void matmul<double>(Index, Index, Index, double, Operand<double>, Operand<double>, double, double*, Index);

struct PackedMatrix<float>::State {
  Index rows, columns;
  dnnl::memory packed;  // empty where the matrix is narrow: then `plain` is read
  const float* plain = nullptr;
  std::mutex mutex;                        // guards `products`
  std::map<Index, dnnl::matmul> products;  // one a number of x rows

  dnnl::matmul::primitive_desc describe(Index count, const dnnl::memory::desc& weights) const {
    using Desc = dnnl::memory::desc;
    const Desc x({count, columns}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::ab);
    const Desc y({count, rows}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::ab);
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);  // the library's own is not safe across threads
    return {dnnl::matmul::desc(x, weights, y), attributes, engine()};
  }

  const dnnl::matmul& product(Index count) {
    const std::lock_guard lock(mutex);
    auto found = products.find(count);
    if (found == products.end()) {
      const OneThread one_thread;
      found = products.emplace(count, dnnl::matmul(describe(count, packed.get_desc()))).first;
    }
    return found->second;
  }
};

PackedMatrix<float>::PackedMatrix(Index rows, Index columns) : state_(new State{rows, columns, {}, nullptr, {}, {}}) {
  if (rows <= kNarrow || columns == 0) return;
  const OneThread one_thread;
  // The layout is asked for once, for a typical number of rows; every product then takes it as given.
  const dnnl::memory::desc any({columns, rows}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::any);
  state_->packed = dnnl::memory(state_->describe(64, any).weights_desc(), engine());
}

PackedMatrix<float>::~PackedMatrix() = default;
PackedMatrix<float>::PackedMatrix(PackedMatrix&&) noexcept = default;
PackedMatrix<float>& PackedMatrix<float>::operator=(PackedMatrix&&) noexcept = default;

void PackedMatrix<float>::pack(const float* weights) {
  state_->plain = weights;
  if (!state_->packed) return;
  // W (rows, columns) row-major is Wᵀ (columns, rows) column-major: the layout oneDNN calls "ba".
  const dnnl::memory::desc plain({state_->columns, state_->rows}, dnnl::memory::data_type::f32,
                                 dnnl::memory::format_tag::ba);
  dnnl::memory source(plain, engine(), const_cast<float*>(weights));
  const OneThread one_thread;
  dnnl::reorder(source, state_->packed).execute(stream(), source, state_->packed);
  stream().wait();
}

void PackedMatrix<float>::multiply(Index count, const float* x, float* y) const {
  State& state = *state_;
  if (count == 0) return;
  if (!state.packed) {
    matmul<float>(count, state.rows, state.columns, 1.0f, {x, state.columns}, {state.plain, state.columns, true}, 0.0f,
                  y, state.rows);
    return;
  }
  const dnnl::matmul& product = state.product(count);
  const auto scratch_desc =
      dnnl::memory::desc(*dnnl_primitive_desc_query_md(product.get_primitive_desc(), dnnl_query_scratchpad_md, 0));
  thread_local Buffer<std::byte> scratch;
  if (scratch.size() < static_cast<Index>(scratch_desc.get_size())) {
    scratch = Buffer<std::byte>(static_cast<Index>(scratch_desc.get_size()));
  }
  using Desc = dnnl::memory::desc;
  const Desc x_desc({count, state.columns}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::ab);
  const Desc y_desc({count, state.rows}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::ab);
  const OneThread one_thread;
  product.execute(stream(), {{DNNL_ARG_SRC, dnnl::memory(x_desc, engine(), const_cast<float*>(x))},
                             {DNNL_ARG_WEIGHTS, state.packed},
                             {DNNL_ARG_DST, dnnl::memory(y_desc, engine(), y)},
                             {DNNL_ARG_SCRATCHPAD, dnnl::memory(scratch_desc, engine(), scratch.data())}});
  stream().wait();
}

Index PackedMatrix<float>::bytes() const {
  return state_->packed ? static_cast<Index>(state_->packed.get_desc().get_size()) : 0;
}

void PackedMatrix<double>::multiply(Index count, const double* x, double* y) const {
  matmul<double>(count, rows_, columns_, 1.0, {x, columns_}, {weights_, columns_, true}, 0.0, y, rows_);
}

}  // namespace slopewise
