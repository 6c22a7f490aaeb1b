/* SPDX-License-Identifier: Apache-2.0 */
/* A bucket of requests, and the rest after a hold. */
#include "guest-helper/limits.h"

#define REQUEST_EVERY_MS (1000 / LIMITS_REQUESTS_PER_SECOND)

void
limits_init(struct limits *l, int64_t now_ms)
{
	l->requests = LIMITS_BURST;
	l->added_ms = now_ms;
	l->rest_end_ms = 0;
}

bool
limits_allow(struct limits *l, int64_t now_ms)
{
	int64_t more = (now_ms - l->added_ms) / REQUEST_EVERY_MS;

	if (more > LIMITS_BURST - l->requests) {
		l->requests = LIMITS_BURST;
		l->added_ms = now_ms;
	} else if (more > 0) {
		l->requests += (int)more;
		l->added_ms += more * REQUEST_EVERY_MS;
	}
	return l->requests > 0;
}

void
limits_took(struct limits *l, int cost)
{
	l->requests -= cost;
	/* Those that are taken without being allowed add up to no more. */
	if (l->requests < -LIMITS_COSTLY)
		l->requests = -LIMITS_COSTLY;
}

void
limits_held(struct limits *l, int64_t begin_ms, int64_t now_ms)
{
	if (now_ms > begin_ms)
		l->rest_end_ms = now_ms + (now_ms - begin_ms);
}

int64_t
limits_rest_ms(const struct limits *l, int64_t now_ms)
{
	return l->rest_end_ms > now_ms ? l->rest_end_ms - now_ms : 0;
}
