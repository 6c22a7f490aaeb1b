# SPDX-License-Identifier: Apache-2.0
option(HOLDSTILL_WERROR "Treat warnings as errors" ON)
add_compile_options(-Wall -Wextra -Wshadow -Wstrict-prototypes
  -Wmissing-prototypes -Wold-style-definition -Wpointer-arith -Wvla
  -Wwrite-strings -Wundef -Wformat=2)
if(HOLDSTILL_WERROR)
  add_compile_options(-Werror)
endif()
add_compile_definitions(_GNU_SOURCE _FILE_OFFSET_BITS=64)
# Every include is written from the top of the tree: "store/store.h".
include_directories(${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)
