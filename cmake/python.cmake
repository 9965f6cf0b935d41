# Whether the Python module can be built: a Python with its headers, and pybind11. Debian's own Python is taken before
# others, as NumPy and PyTorch come with it; -D Python_EXECUTABLE=… names another.
if(NOT DEFINED Python_EXECUTABLE AND EXISTS /usr/bin/python3)
  set(Python_EXECUTABLE /usr/bin/python3)
endif()
find_package(Python 3.9 COMPONENTS Interpreter Development.Module QUIET)
find_package(pybind11 2.10 CONFIG QUIET)
set(python_found FALSE)
if(Python_FOUND AND pybind11_FOUND AND PROJECT_IS_TOP_LEVEL)
  set(python_found TRUE)
endif()
option(SLOPEWISE_BUILD_PYTHON "Build the Python module" ${python_found})
if(SLOPEWISE_BUILD_PYTHON AND NOT (Python_FOUND AND pybind11_FOUND))
  message(FATAL_ERROR "SLOPEWISE_BUILD_PYTHON: expected Python's headers and pybind11 2.10 (Debian: python3-dev, pybind11-dev)")
endif()
if(SLOPEWISE_BUILD_PYTHON)
  set(SLOPEWISE_PYTHON_DIR ${CMAKE_INSTALL_LIBDIR}/python${Python_VERSION_MAJOR}.${Python_VERSION_MINOR}/site-packages
    CACHE STRING "Where the Python package is installed, below the prefix")
endif()
