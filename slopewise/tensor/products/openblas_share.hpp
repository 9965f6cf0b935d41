// OpenBLAS among others: its number of threads is the process's, and 1 from when it is loaded on
// (openblas_library.hpp).
#pragma once

namespace slopewise {

// In a process with other users of OpenBLAS (NumPy, PyTorch): from now on its number of threads is what it was before
// this library was loaded, but while an OpenBlasTurn lives. Whoever calls this makes products, and calls anything that
// makes them, within a turn.
void share_openblas();

class OpenBlasTurn {
 public:
  OpenBlasTurn();
  ~OpenBlasTurn();
  OpenBlasTurn(const OpenBlasTurn&) = delete;
  OpenBlasTurn& operator=(const OpenBlasTurn&) = delete;
};

}  // namespace slopewise
