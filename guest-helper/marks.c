/* SPDX-License-Identifier: Apache-2.0 */
/* A shared page, and its copy in a file. */
#include "guest-helper/marks.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/err.h"

int
marks_open(struct marks *m, struct err *err)
{
	void *page = mmap(NULL, MARKS_MAX, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	m->fd = -1;
	m->at = 0;
	m->places = NULL;
	if (page == MAP_FAILED)
		return err_errno(err, errno, "cannot map shared memory");
	memset(page, MARKS_NONE, MARKS_MAX);
	m->places = page;
	return 0;
}

void
marks_close(struct marks *m)
{
	if (m->places == NULL)
		return;
	munmap((void *)m->places, MARKS_MAX);
	m->places = NULL;
	if (m->fd != -1)
		close(m->fd);
	m->fd = -1;
}

enum marks_value
marks_get(const struct marks *m, size_t place)
{
	return (enum marks_value)atomic_load(&m->places[place]);
}

static void
copy(const struct marks *m, size_t place, unsigned char value)
{
	while (m->fd != -1 &&
	       pwrite(m->fd, &value, 1, m->at + (off_t)place) == -1 &&
	       errno == EINTR)
		;
}

void
marks_set(struct marks *m, size_t place, enum marks_value value)
{
	atomic_store(&m->places[place], (unsigned char)value);
	copy(m, place, (unsigned char)value);
}

bool
marks_thawed(const struct marks *m, size_t place)
{
	unsigned char value;

	return marks_get(m, place) == MARKS_THAWED ||
	       (m->fd != -1 &&
		   pread(m->fd, &value, 1, m->at + (off_t)place) == 1 &&
		   value == MARKS_THAWED);
}

size_t
marks_left(const struct marks *m, size_t count)
{
	size_t left = 0, i;

	for (i = 0; i < count; i++)
		left += marks_is_ours(marks_get(m, MARKS_FS(i)));
	return left;
}

bool
marks_is_ours(int value)
{
	return value != MARKS_NONE && value != MARKS_REFUSED &&
	       value != MARKS_THAWED;
}
