/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests and answers over a stream descriptor: the host's end of
 * docs/protocol.md.  Every call has a deadline, whatever the guest sends.
 *
 * One thread at a time.
 */
#ifndef HOLDSTILL_AGENT_QUIESCE_CLIENT_H
#define HOLDSTILL_AGENT_QUIESCE_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/proto/message.h"

struct client;
struct err;

#define CLIENT_HELLO_MS 3000
#define CLIENT_DOUBT_MS 1000 /* Hello where nobody seems to be. */
#define CLIENT_PREPARE_MS 30000
/* Prepare when writers take part. */
#define CLIENT_WRITERS_MS MESSAGE_PREPARE_USUAL_MS
#define CLIENT_THAW_MS 30000      /* The writers' thaw is in it. */
#define CLIENT_SHORT_MS 5000      /* ping, status, abort */
#define CLIENT_COMMITTED_MS 60000 /* Writers truncate their logs meanwhile. */

/* Takes fd, also on failure. */
int client_new(struct client **out, int fd, struct err *err);

/* Closes it, which makes the guest thaw and forget.  NULL is allowed. */
void client_free(struct client *c);

/*
 * Sends *request (NULL: an empty one) and waits for its answer, which
 * client_reply() then gives.  Errors: what the guest answered with its class
 * and text; ERR_TIMEOUT; ERR_IO when the channel closed; ERR_CANCELLED, only
 * if heed_cancel, when a stop was asked for.
 */
int client_call(struct client *c, uint8_t type, const struct message *request,
    int timeout_ms, bool heed_cancel, struct err *err);

/* The last answer; good until the next call. */
const struct message *client_reply(const struct client *c);

/* A guest writes what it likes, also what would move a terminal's cursor:
 * all but printable ASCII becomes '?'.  What goes into an err is clean. */
void client_clean(char *text);

/* Says hello; ERR_UNSUPPORTED if the versions do not meet. */
int client_hello(struct client *c, bool heed_cancel, struct err *err);
/* The same within a time of the caller's. */
int client_hello_within(
    struct client *c, int timeout_ms, bool heed_cancel, struct err *err);

/*
 * Asks again for as long as the guest is still busy with a session that
 * a dead host left.  The guest has the request's prepare_ms (0:
 * CLIENT_PREPARE_MS), and a moment more passes before it is given up: its
 * own error says more than our silence.
 */
int client_prepare(
    struct client *c, const struct message *request, struct err *err);

#endif
