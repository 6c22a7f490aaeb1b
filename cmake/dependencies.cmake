# SPDX-License-Identifier: Apache-2.0
# docs/dependencies.md says why each of these is here.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto)
pkg_check_modules(LMDB REQUIRED IMPORTED_TARGET lmdb)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(LIBVIRT REQUIRED IMPORTED_TARGET libvirt libvirt-qemu)
pkg_check_modules(LIBXML REQUIRED IMPORTED_TARGET libxml-2.0)
pkg_check_modules(LIBNBD REQUIRED IMPORTED_TARGET libnbd)
pkg_check_modules(INIH REQUIRED IMPORTED_TARGET inih)
# The helper in the guest is static.
find_library(HS_STATIC_INIH libinih.a REQUIRED)
pkg_check_modules(CMOCKA IMPORTED_TARGET cmocka)
option(HOLDSTILL_TESTS "Build the tests (needs cmocka)" ON)
