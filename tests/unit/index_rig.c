/* SPDX-License-Identifier: Apache-2.0 */
/* Packs for a local index, and another process that has one open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "store/checksum.h"
#include "tests/unit/index_rig.h"

void
index_rig_name(uint8_t hash[DIGEST_BYTES], uint32_t pack, uint32_t blob)
{
	uint64_t v = (uint64_t)pack << 32 | blob, x;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		v += i;
		x = checksum_of(&v, sizeof(v));
		memcpy(hash + 8 * i, &x, 8);
	}
}

static void
fill(struct index_pack *p, uint32_t number)
{
	uint32_t i;

	memset(p, 0, sizeof(*p));
	memcpy(p->id, &number, sizeof(number));
	p->table.frames = calloc(INDEX_RIG_BLOBS, sizeof(*p->table.frames));
	p->table.blobs = calloc(INDEX_RIG_BLOBS, sizeof(*p->table.blobs));
	p->table.frame_count = p->table.blob_count = INDEX_RIG_BLOBS;
	for (i = 0; i < INDEX_RIG_BLOBS; i++) {
		p->table.frames[i].offset = 48 + i;
		p->table.frames[i].stored_size = 1;
		p->table.frames[i].raw_size = 65536;
		p->table.frames[i].coding = 1;
		p->table.frames[i].first_blob = i;
		p->table.frames[i].blob_count = 1;
		p->table.blobs[i].type = BLOB_DATA;
		p->table.blobs[i].size = 65536;
		index_rig_name(p->table.blobs[i].hash, number, i);
	}
}

int
index_rig_add(
    struct localindex *li, uint32_t number, bool trusted, struct err *err)
{
	uint8_t id[OBJECT_ID_BYTES] = { 0 };
	struct index_pack p;
	int rc;

	memcpy(id, &number, sizeof(number));
	fill(&p, number);
	rc = localindex_add(li, trusted ? id : NULL, &p, 1, err);
	pack_table_fini(&p.table);
	return rc;
}

int
index_rig_fork(struct index_rig_other *o, index_rig_fn *fn)
{
	if (pipe(o->ask) == -1 || pipe(o->answer) == -1 ||
	    (o->pid = fork()) == -1)
		return -1;
	if (o->pid == 0) {
		close(o->ask[1]); /* With the test it ends as well. */
		_exit(fn(o));
	}
	close(o->ask[0]);
	close(o->answer[1]);
	return 0;
}

int
index_rig_wait(struct index_rig_other *o)
{
	pid_t pid = o->pid;
	int status;

	o->pid = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

void
index_rig_close(struct index_rig_other *o)
{
	close(o->ask[1]);
	close(o->answer[0]);
	if (o->pid != 0)
		waitpid(o->pid, NULL, 0);
	o->pid = 0;
}
