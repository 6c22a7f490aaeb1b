/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines on standard error, held back in memory while file systems are
 * frozen: the log may end on one of them, and the writer would block.
 */
#ifndef HOLDSTILL_GUEST_QUIETLOG_H
#define HOLDSTILL_GUEST_QUIETLOG_H

void quietlog_init(void);
void quietlog_hold(void);
void quietlog_release(void);

#endif
