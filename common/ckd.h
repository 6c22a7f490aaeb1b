/* SPDX-License-Identifier: Apache-2.0 */
/* Checked arithmetic: true means it did not fit and *out is not to be used. */
#ifndef HOLDSTILL_COMMON_CKD_H
#define HOLDSTILL_COMMON_CKD_H

#define ckd_add(out, a, b) __builtin_add_overflow((a), (b), (out))
#define ckd_sub(out, a, b) __builtin_sub_overflow((a), (b), (out))
#define ckd_mul(out, a, b) __builtin_mul_overflow((a), (b), (out))

#endif
