// OpenBLAS, loaded by the program itself and not by the linker: only before it is loaded can it be told which kernels
// to take and to start no threads of its own. Those would each ask for a buffer before main and, where memory is short
// (ulimit -v), ask for ever.
#pragma once

#include <cblas-openblas.h>
#include <lapack.h>

namespace slopewise {

struct OpenBlas {
  decltype(&cblas_sgemm) sgemm;
  decltype(&cblas_dgemm) dgemm;
  decltype(&LAPACK_dpotrf_base) dpotrf;
  decltype(&LAPACK_dpotrs_base) dpotrs;
  decltype(&LAPACK_dtrtri_base) dtrtri;
  decltype(&openblas_get_config) config;
  decltype(&openblas_get_corename) core_name;
};

// Throws Error where the library cannot be loaded.
const OpenBlas& openblas();
// The same for products on the calling thread, which has its buffer from then on. Throws Error where the memory that
// the process may have has no room for it.
const OpenBlas& openblas_with_buffer();

}  // namespace slopewise
