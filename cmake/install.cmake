# What `cmake --install` puts down: the libraries, their headers, the command line, the Python package, a package for
# find_package(slopewise), and slopewise.pc and slopewise-core.pc for pkg-config.
option(SLOPEWISE_INSTALL "Install the library and its CMake package" ${PROJECT_IS_TOP_LEVEL})
if(NOT SLOPEWISE_INSTALL)
  return()
endif()

include(CMakePackageConfigHelpers)
set(package_directory ${CMAKE_INSTALL_LIBDIR}/cmake/slopewise)

install(TARGETS slopewise_core EXPORT slopewise-core-targets)
install(TARGETS slopewise EXPORT slopewise-targets)
install(TARGETS slopewise_onnx EXPORT slopewise-onnx-targets)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/slopewise DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp"
  PATTERN "workers" EXCLUDE)
if(TARGET slopewise_cli)
  install(TARGETS slopewise_cli)
  set(words ${PROJECT_BINARY_DIR}/apps/words)
  install(FILES ${words}/slopewise DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
  install(FILES ${words}/_slopewise DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
  install(DIRECTORY ${words}/man/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()

if(TARGET slopewise_python)
  file(RELATIVE_PATH to_libraries /${SLOPEWISE_PYTHON_DIR}/slopewise /${CMAKE_INSTALL_LIBDIR})
  if(BUILD_SHARED_LIBS)
    set_target_properties(slopewise_python PROPERTIES INSTALL_RPATH "$ORIGIN/${to_libraries}")
  endif()
  install(TARGETS slopewise_python LIBRARY DESTINATION ${SLOPEWISE_PYTHON_DIR}/slopewise COMPONENT python)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/python/slopewise DESTINATION ${SLOPEWISE_PYTHON_DIR} COMPONENT python
    FILES_MATCHING PATTERN "*.py" PATTERN "*.pyi" PATTERN "py.typed")
endif()

install(EXPORT slopewise-core-targets NAMESPACE slopewise:: DESTINATION ${package_directory})
install(EXPORT slopewise-targets NAMESPACE slopewise:: DESTINATION ${package_directory})
install(EXPORT slopewise-onnx-targets NAMESPACE slopewise:: DESTINATION ${package_directory})
configure_package_config_file(
  ${CMAKE_CURRENT_LIST_DIR}/slopewise-config.cmake.in ${PROJECT_BINARY_DIR}/slopewise-config.cmake
  INSTALL_DESTINATION ${package_directory} NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
# Before 1.0 a minor version may break what an earlier one promised.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/slopewise-config-version.cmake COMPATIBILITY SameMinorVersion)
install(
  FILES ${PROJECT_BINARY_DIR}/slopewise-config.cmake ${PROJECT_BINARY_DIR}/slopewise-config-version.cmake
        ${CMAKE_CURRENT_LIST_DIR}/core_dependencies.cmake ${CMAKE_CURRENT_LIST_DIR}/dependencies.cmake
  DESTINATION ${package_directory})

# A file for pkg-config that links `target` as `library`. A static library needs all that it was linked with, a shared one
# nothing more.
function(slopewise_pkgconfig target library description requires)
  # From where the file lies, so that what was installed can be moved.
  file(RELATIVE_PATH to_include ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_FULL_INCLUDEDIR})
  set(others "")
  get_target_property(dependencies ${target} LINK_LIBRARIES)
  foreach(dependency IN LISTS dependencies)
    if(NOT TARGET ${dependency} OR dependency MATCHES "^slopewise_")
      continue()
    endif()
    get_target_property(type ${dependency} TYPE)
    if(type STREQUAL INTERFACE_LIBRARY)
      list(APPEND others "$<TARGET_PROPERTY:${dependency},INTERFACE_LINK_LIBRARIES>")
    else()
      list(APPEND others "$<TARGET_FILE:${dependency}>")
    endif()
  endforeach()
  set(others "$<JOIN:${others}, >")
  if(BUILD_SHARED_LIBS)
    set(others "")
  endif()
  file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/${library}.pc CONTENT
"libdir=\${pcfiledir}/..
includedir=\${pcfiledir}/${to_include}

Name: ${library}
Description: ${description}
Version: ${PROJECT_VERSION}
Requires: ${requires}
Cflags: -I\${includedir}
Libs: -L\${libdir} -l${library} ${others}
")
  install(FILES ${PROJECT_BINARY_DIR}/${library}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()
slopewise_pkgconfig(slopewise_core slopewise-core "Numbers that carry tangents through any C++ function, and objectives made of them" "")
slopewise_pkgconfig(slopewise slopewise "${PROJECT_DESCRIPTION}" slopewise-core)
