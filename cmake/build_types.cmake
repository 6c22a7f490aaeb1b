# SPDX-License-Identifier: Apache-2.0
# Build types beside CMake's own: Asan (with UBSan), Tsan, Coverage.
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

set(CMAKE_C_FLAGS_RELEASE "-O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong")
set(CMAKE_C_FLAGS_DEBUG "-O0 -g3")
set(CMAKE_C_FLAGS_ASAN
  "-O1 -g3 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all")
set(CMAKE_C_FLAGS_TSAN "-O1 -g3 -fno-omit-frame-pointer -fsanitize=thread")
set(CMAKE_C_FLAGS_COVERAGE "-O0 -g3 --coverage")
foreach(type ASAN TSAN COVERAGE)
  set(CMAKE_EXE_LINKER_FLAGS_${type} "")
endforeach()

option(HOLDSTILL_FUZZ "Build libFuzzer programs (needs clang)" OFF)
if(HOLDSTILL_FUZZ)
  # The libraries, too: a fuzzer finds its way by what they do.
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_link_options(-fsanitize=fuzzer-no-link)
endif()
