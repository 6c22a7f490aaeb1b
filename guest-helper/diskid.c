/* SPDX-License-Identifier: Apache-2.0 */
/* Matches serial numbers, WWNs and PCI ways with those in /sys. */
#include "guest-helper/diskid.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/proto/message.h"

/* What virtio-blk carries of a serial number. */
#define VIRTIO_SERIAL_BYTES 20

typedef bool fits_fn(const char *sysfs, const char *name, const char *wanted);

static void
trim(char *text)
{
	size_t begin = 0, end = strlen(text);

	while (end > 0 && isspace((unsigned char)text[end - 1]))
		end--;
	while (begin < end && isspace((unsigned char)text[begin]))
		begin++;
	memmove(text, text + begin, end - begin);
	text[end - begin] = '\0';
}

/* virtio, NVMe, SCSI; "" if it has none. */
static void
read_serial(char *out, size_t size, const char *sysfs, const char *name)
{
	char page[256];
	ssize_t n;

	*out = '\0';
	if (blockdev_attribute(out, size, sysfs, name, "serial") > 0 ||
	    blockdev_attribute(out, size, sysfs, name, "device/serial") > 0) {
		trim(out);
		return;
	}
	/* SCSI: the unit serial number page, four bytes of head. */
	n = blockdev_attribute(
	    page, sizeof(page), sysfs, name, "device/vpd_pg80");
	if (n > 4) {
		snprintf(out, size, "%s", page + 4);
		trim(out);
	}
}

static bool
fits_serial(const char *sysfs, const char *name, const char *wanted)
{
	char seen[256];

	read_serial(seen, sizeof(seen), sysfs, name);
	return *seen != '\0' &&
	       (strcmp(wanted, seen) == 0 ||
		   (strlen(seen) == VIRTIO_SERIAL_BYTES &&
		       strncmp(wanted, seen, VIRTIO_SERIAL_BYTES) == 0));
}

/* "5000c50015ea71ad" is what the kernel calls "naa.5000c50015ea71ad". */
static bool
fits_wwn(const char *sysfs, const char *name, const char *wanted)
{
	char seen[256];

	if (blockdev_attribute(
		seen, sizeof(seen), sysfs, name, "device/wwid") <= 0 &&
	    blockdev_attribute(seen, sizeof(seen), sysfs, name, "wwid") <= 0)
		return false;
	trim(seen);
	if (strncasecmp(wanted, "0x", 2) == 0)
		wanted += 2;
	return strncmp(seen, "naa.", 4) == 0 &&
	       strcasecmp(seen + 4, wanted) == 0;
}

static bool
is_pci(const char *part, size_t size)
{
	unsigned int domain, bus, slot, function;
	int used = 0;

	return sscanf(part, "%4x:%2x:%2x.%1x%n", &domain, &bus, &slot,
		   &function, &used) == 4 &&
	       (size_t)used == size && size == 12;
}

/*
 * The PCI functions on the way to a disk: the first one whole, the others
 * without their bus, whose number is the firmware's choice.  Only for a disk
 * that is such a function itself: what hangs on a SCSI host shares it.
 */
static bool
fits_pci(const char *sysfs, const char *name, const char *wanted)
{
	char path[PATH_MAX], real[PATH_MAX], way[MESSAGE_NAME_SIZE] = "";
	const char *part, *end;
	size_t used = 0, size;

	if (snprintf(path, sizeof(path), "%s/class/block/%s", sysfs, name) >=
		(int)sizeof(path) ||
	    realpath(path, real) == NULL || strstr(real, "/host") != NULL)
		return false;
	for (part = real; part != NULL; part = end == NULL ? NULL : end + 1) {
		end = strchr(part, '/');
		size = end == NULL ? strlen(part) : (size_t)(end - part);
		if (!is_pci(part, size))
			continue;
		if (used + size + 2 > sizeof(way))
			return false;
		if (used == 0)
			used = (size_t)sprintf(way, "%.12s", part);
		else
			used += (size_t)sprintf(
			    way + used, "/%.4s", part + strlen("0000:00:"));
	}
	return used > 0 && strcmp(way, wanted) == 0;
}

/* True if exactly one disk fits, of all. */
static bool
find_only(char out[BLOCKDEV_NAME_SIZE], const char *sysfs, fits_fn *fits,
    const char *wanted)
{
	char path[PATH_MAX];
	struct dirent *entry;
	size_t found = 0;
	int error;
	DIR *dir;

	if (*wanted == '\0' ||
	    snprintf(path, sizeof(path), "%s/block", sysfs) >=
		(int)sizeof(path) ||
	    (dir = opendir(path)) == NULL)
		return false;
	while (errno = 0, (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.' ||
		    strlen(entry->d_name) >= BLOCKDEV_NAME_SIZE ||
		    !fits(sysfs, entry->d_name, wanted))
			continue;
		found++;
		strcpy(out, entry->d_name);
	}
	error = errno;
	closedir(dir);
	return error == 0 && found == 1;
}

bool
diskid_find(char out[BLOCKDEV_NAME_SIZE], const char *sysfs,
    const struct message_disk *disk)
{
	if (find_only(out, sysfs, fits_serial, disk->serial) ||
	    find_only(out, sysfs, fits_wwn, disk->wwn) ||
	    find_only(out, sysfs, fits_pci, disk->pci))
		return true;
	*out = '\0';
	return false;
}
