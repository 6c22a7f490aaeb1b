/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and settings of the same repository for all tests of store/seal. */
#ifndef HOLDSTILL_TESTS_UNIT_SEAL_RIG_H
#define HOLDSTILL_TESTS_UNIT_SEAL_RIG_H

#include "store/seal/hostkey.h"
#include "store/seal/seal.h"

extern const uint8_t rig_master[SEAL_KEY_BYTES];    /* 00 01 ... */
extern const uint8_t rig_repository[SEAL_ID_BYTES]; /* a0 a1 ... */
extern const uint8_t rig_object[SEAL_ID_BYTES];     /* b0 b1 ... */
extern const uint8_t rig_salt[SEAL_SALT_BYTES];     /* c0 c1 ... */
extern const uint8_t rig_host[SEAL_ID_BYTES];       /* 10 11 ... */

/* With AES-256-GCM and the check of rig_master. */
struct seal_settings rig_settings(enum seal_mode mode);
/* With all keys; caller frees. */
struct seal *rig_seal(enum seal_mode mode);
/* Of rig_host, with its first chain key. */
struct hostkey rig_hostkey(void);
/* With the host's keys only; caller frees. */
struct seal *rig_host_seal(void);

/* Fails the test unless bytes are what hex says. */
void rig_expect_hex(const void *bytes, size_t size, const char *hex);
/* Fails the test if text lacks part. */
void rig_expect_part(const char *text, const char *part);

#endif
