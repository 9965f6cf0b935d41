// Parts of the extension module beside module.cpp.
#pragma once

#include <pybind11/pybind11.h>

namespace slopewise {

// The audit of a model, the study, and progress.
void bind_studies(pybind11::module_& m);

}  // namespace slopewise
