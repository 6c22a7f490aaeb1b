/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts at work, each in a thread. */
#include "tests/unit/cut_work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/io.h"
#include "store/seal/slot.h"
#include "tests/unit/cut_recorder.h"

#define CONTENTS 48 /* What blocks are made of: lost ones are wanted again. */
#define BLOCK ((uint64_t)STORE_BLOCK_BYTES)

const char *const cut_job_name[CUT_JOBS] = {
	[CUT_BACKUPS] = "backups",
	[CUT_TWO_HOSTS] = "backups of two hosts",
	[CUT_BESIDE_PRUNE] = "backups beside a prune",
	[CUT_FORGETS] = "forgets and a prune",
	[CUT_ALL_AT_ONCE] = "backups beside forgets and a prune",
	[CUT_REPAIR] = "repair",
};

struct party {
	pthread_t thread;
	const struct cut_plan *plan;
	const char *name;
	void (*run)(struct party *p, struct cut_host *h);
	uint64_t random;
	bool alone;  /* So nothing that it does may fail. */
	bool failed; /* It did. */
};

uint64_t
cut_draw(uint64_t *random, uint64_t below)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random % below;
}

/* FNV-1a. */
uint64_t
cut_hash(const struct image *im)
{
	uint64_t i, h = UINT64_C(0xcbf29ce484222325);

	for (i = 0; i < im->size; i++)
		h = (h ^ im->bytes[i]) * UINT64_C(0x100000001b3);
	return h;
}

static void
note(enum cut_note_kind kind, const char *id, uint64_t number)
{
	struct cut_note n;

	memset(&n, 0, sizeof(n));
	n.kind = kind;
	n.number = number;
	if (id != NULL)
		memcpy(n.id, id, sizeof(n.id));
	cut_recorder_note(&n, sizeof(n));
}

int
cut_init(struct rig *rig, struct err *err)
{
	struct store_init_options options = { .mode = SEAL_NONE };
	enum aead_cipher cipher = AEAD_AES_256_GCM;
	struct backend *b;
	int rc;

	if (rig_sealed()) {
		options.mode = SEAL_SECRET;
		options.cipher = &cipher;
		options.secret = &rig_key;
		options.label = "cut";
	}
	if (backend_open(&b, rig->url, BACKEND_CREATE, err) == -1)
		return -1;
	rc = store_init(b, &options, err);
	backend_close(b);
	if (rc == 0)
		note(CUT_NOTE_INIT, NULL, 0);
	return rc;
}

int
cut_host_open(struct cut_host *h, struct rig *rig, const char *root,
    const char *name, struct err *err)
{
	struct backend *b;
	char cache[320];

	memset(h, 0, sizeof(*h));
	h->rig = rig;
	snprintf(h->state, sizeof(h->state), "%s/%s", root, name);
	snprintf(cache, sizeof(cache), "%s/cache", h->state);
	/* The rig takes it for granted that this much works. */
	if (backend_open(&b, rig->url, BACKEND_OPEN, err) == -1)
		return -1;
	backend_close(b);
	if (io_make_dirs(h->state, 0711, err) == -1 ||
	    rig_try_open(rig, &h->store, cache, err) == -1)
		return -1;
	if (catalog_open(&h->catalog, h->state, err) == -1 ||
	    journal_open(&h->journal, h->state, err) == -1) {
		cut_host_close(h);
		return -1;
	}
	return 0;
}

void
cut_host_close(struct cut_host *h)
{
	journal_close(h->journal);
	catalog_close(h->catalog);
	store_close(h->store);
}

static int
take_base(struct cut_host *h, struct manifest **out, struct image *im,
    const char *base, struct err *err)
{
	if (store_manifest_read(out, h->store, base, err) == -1)
		return -1;
	if (rig_read(h->store, *out, im, err) == 0)
		return 0;
	image_fini(im);
	manifest_free(*out);
	*out = NULL;
	return -1;
}

static void
change(struct image *im, uint64_t blocks, uint64_t *random)
{
	uint64_t i, content;

	for (i = 0; i < blocks; i++) {
		content = cut_draw(random, CONTENTS);
		image_fill(im, cut_draw(random, CUT_BLOCKS) * BLOCK, BLOCK,
		    (unsigned int)content, content % 2 == 0);
	}
}

static int
make_point(struct cut_host *h, struct manifest **out, struct image *im,
    const struct manifest *parent, const struct image *base, struct err *err)
{
	static _Atomic uint64_t serial;
	char subject[32];
	struct journal_effect effect = { .kind = JOURNAL_DIR,
		.connect_uri = "",
		.domain_uuid = "",
		.subject = subject,
		.point_id = "" };
	uint64_t number = (uint64_t)getpid() << 20 | ++serial;
	uint64_t hash = cut_hash(im);

	snprintf(effect.run, sizeof(effect.run), "%032llx",
	    (unsigned long long)number);
	snprintf(subject, sizeof(subject), "%llu", (unsigned long long)number);
	if (journal_add(h->journal, &effect, err) == -1)
		return -1;
	note(CUT_NOTE_EFFECT, NULL, number);
	note(CUT_NOTE_BEGIN, NULL, hash);
	if (rig_backup(h->rig, h->store, out, im, parent, base, err) == -1)
		return -1;
	note(CUT_NOTE_DONE, (*out)->id, hash);
	if (catalog_add(h->catalog, store_id(h->store), *out, err) == -1)
		return -1;
	note(CUT_NOTE_STRIKE, NULL, number);
	if (journal_strike(h->journal, effect.id, err) == -1)
		return -1;
	note(CUT_NOTE_STRUCK, NULL, number);
	return 0;
}

int
cut_backup(struct cut_host *h, struct manifest **out, const char *base,
    uint64_t *random, struct err *err)
{
	struct manifest *parent = NULL;
	struct image im, old;
	int rc;

	if (base == NULL) {
		image_init(&im, CUT_BLOCKS * BLOCK);
		change(&im, CUT_BLOCKS, random);
		rc = make_point(h, out, &im, NULL, NULL, err);
	} else {
		if (take_base(h, &parent, &old, base, err) == -1)
			return -1;
		image_copy(&im, &old);
		change(&im, 1 + cut_draw(random, 8), random);
		rc = make_point(h, out, &im, parent, &old, err);
		image_fini(&old);
	}
	image_fini(&im);
	manifest_free(parent);
	return rc;
}

static void
failed(struct party *p, const char *what, const struct err *err)
{
	if (!p->alone)
		return;
	p->failed = true;
	fprintf(stderr, "%s: %s: %s\n", p->name, what, err->text);
}

static const char *
some_point(struct party *p)
{
	const struct cut_plan *plan = p->plan;

	if (plan->point_count == 0)
		return NULL;
	return plan->points[cut_draw(&p->random, plan->point_count)];
}

static void
run_backups(struct party *p, struct cut_host *h)
{
	uint64_t i, n = 1 + cut_draw(&p->random, 3);
	const char *base = cut_draw(&p->random, 3) == 0 ? NULL : some_point(p);
	struct manifest *m = NULL, *last = NULL;
	struct err err = ERR_INIT;

	for (i = 0; i < n; i++) {
		m = NULL;
		if (cut_backup(h, &m, base, &p->random, &err) == -1) {
			failed(p, "backup", &err);
			manifest_free(m);
			break;
		}
		manifest_free(last);
		last = m;
		base = last->id;
	}
	manifest_free(last);
}

static void
run_prune(struct party *p, struct cut_host *h)
{
	const struct store_prune_options options = {
		.silence_ms = cut_draw(&p->random, 2) == 0 ? 1 : 200,
	};
	struct store_prune_result result;
	struct err err = ERR_INIT;

	note(CUT_NOTE_PRUNE, NULL, 0);
	if (store_prune(h->store, &options, &result, &err) == -1)
		failed(p, "prune", &err);
}

static void
run_forgets(struct party *p, struct cut_host *h)
{
	uint64_t i, n = 1 + cut_draw(&p->random, 2);
	struct err err = ERR_INIT;
	const char *id;

	for (i = 0; i < n && (id = some_point(p)) != NULL; i++) {
		note(CUT_NOTE_FORGET, id, 0);
		if (store_point_forget(h->store, id, &err) == -1)
			failed(p, "forget", &err);
		else
			note(CUT_NOTE_FORGOTTEN, id, 0);
	}
	run_prune(p, h);
}

static void
run_repair(struct party *p, struct cut_host *h)
{
	const struct store_repair_options options = { .threads = 2 };
	struct store_repair_result result;
	struct err err = ERR_INIT;

	if (store_repair(h->store, &options, NULL, NULL, &result, &err) == -1)
		failed(p, "repair", &err);
}

static void *
run(void *arg)
{
	struct party *p = arg;
	struct err err = ERR_INIT;
	struct cut_host h;

	if (cut_host_open(&h, p->plan->rig, p->plan->root, p->name, &err) ==
	    -1) {
		p->alone = true;
		failed(p, "open", &err);
		return NULL;
	}
	p->run(p, &h);
	cut_host_close(&h);
	return NULL;
}

static void (*const first[CUT_JOBS])(struct party *, struct cut_host *) = {
	[CUT_BACKUPS] = run_backups,
	[CUT_TWO_HOSTS] = run_backups,
	[CUT_BESIDE_PRUNE] = run_backups,
	[CUT_FORGETS] = run_forgets,
	[CUT_ALL_AT_ONCE] = run_backups,
	[CUT_REPAIR] = run_repair,
};
static void (*const second[CUT_JOBS])(struct party *, struct cut_host *) = {
	[CUT_TWO_HOSTS] = run_backups,
	[CUT_BESIDE_PRUNE] = run_prune,
	[CUT_ALL_AT_ONCE] = run_forgets,
};

int
cut_work(const struct cut_plan *plan)
{
	struct party p[2] = {
		{ .name = "host1", .run = first[plan->job] },
		{ .name = "host2", .run = second[plan->job] },
	};
	struct err err = ERR_INIT;
	int i, n = p[1].run == NULL ? 1 : 2;
	bool bad = false;

	if (plan->init && cut_init(plan->rig, &err) == -1) {
		fprintf(stderr, "init: %s\n", err.text);
		return 1;
	}
	for (i = 0; i < n; i++) {
		p[i].plan = plan;
		p[i].random =
		    (plan->seed + (uint64_t)i) * UINT64_C(0x9e3779b97f4a7c15) +
		    1;
		p[i].alone = n == 1 || plan->job == CUT_TWO_HOSTS;
		if (pthread_create(&p[i].thread, NULL, run, &p[i]) != 0)
			abort();
	}
	for (i = 0; i < n; i++) {
		pthread_join(p[i].thread, NULL);
		bad = bad || p[i].failed;
	}
	return bad;
}
