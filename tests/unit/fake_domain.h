/* SPDX-License-Identifier: Apache-2.0 */
/* What agent/quiesce asks of a domain, answered by the test. */
#ifndef HOLDSTILL_TESTS_FAKE_DOMAIN_H
#define HOLDSTILL_TESTS_FAKE_DOMAIN_H

#include <stdbool.h>

struct err;

struct fake_domain {
	/* The helper's channel, as domain_channel_open; NULL: there is none. */
	int (*open)(void *arg, int *out_fd, struct err *err);
	void *arg;
	bool unknown; /* libvirt knows of nobody on it. */
	bool agent;
	bool windows;
	int frozen, thawed; /* Counts the agent tells; -1: it fails. */
	int mute_thaws;     /* So many thaws are not answered, first. */
	bool refuses_thaw;  /* With a word. */
	int thaws;          /* Times it was asked. */
};

extern struct fake_domain fake_domain;

#endif
