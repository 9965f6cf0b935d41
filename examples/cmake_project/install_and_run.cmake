# Installs the built tree `build` under `work`, then configures, builds and runs `source` against that install with the
# same tools, and what needs core alone by CMake (`core`) and by pkg-config. A sanitized library needs a sanitized program.
# Shared libraries end in `soname` to who is linked with them.
function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE ${work})
run(${CMAKE_COMMAND} --install ${build} --prefix ${work}/prefix)
set(flags)
set(sanitizer)
if(sanitize)
  set(sanitizer -fsanitize=${sanitize})
  set(flags -D CMAKE_CXX_FLAGS=${sanitizer})
endif()
function(run_project directory name)
  run(${CMAKE_COMMAND} -S ${directory} -B ${work}/${name} -G ${generator} -D CMAKE_CXX_COMPILER=${compiler}
      -D CMAKE_BUILD_TYPE=${build_type} -D CMAKE_PREFIX_PATH=${work}/prefix ${flags} ${ARGN})
  run(${CMAKE_COMMAND} --build ${work}/${name})
  run(${work}/${name}/${name})
endfunction()
run_project(${source} cmake_project)
# Core is found, and links, where what multiplies is not there.
run_project(${source}/core core_project -D CMAKE_DISABLE_FIND_PACKAGE_dnnl=ON)

find_program(pkgconfig pkg-config)
if(pkgconfig)
  file(GLOB_RECURSE descriptions ${work}/prefix/*/slopewise.pc)
  cmake_path(GET descriptions PARENT_PATH directory)
  function(run_with_pkgconfig package file)
    execute_process(COMMAND ${CMAKE_COMMAND} -E env PKG_CONFIG_PATH=${directory} ${pkgconfig} --cflags --libs ${package}
                    OUTPUT_VARIABLE options OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
    separate_arguments(options UNIX_COMMAND "${options}")
    run(${compiler} -std=c++20 ${sanitizer} ${file} -o ${work}/${package} ${options})
    run(${CMAKE_COMMAND} -E env LD_LIBRARY_PATH=${directory}/.. ${work}/${package})
  endfunction()
  run_with_pkgconfig(slopewise ${source}/main.cpp)
  run_with_pkgconfig(slopewise-core ${source}/core/main.cpp)
endif()

if(soname)
  foreach(library slopewise-core slopewise slopewise-onnx)
    file(GLOB_RECURSE files ${work}/prefix/*/lib${library}${soname})
    execute_process(COMMAND readelf --dynamic ${files} OUTPUT_VARIABLE dynamic COMMAND_ERROR_IS_FATAL ANY)
    if(NOT dynamic MATCHES "\\(SONAME\\)[^\n]*\\[lib${library}${soname}\\]")
      message(FATAL_ERROR "expected the soname lib${library}${soname}, found\n${dynamic}")
    endif()
  endforeach()
endif()
