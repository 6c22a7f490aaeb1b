/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a device hangs, as the guest can see it too.  Bus numbers are given
 * out by the guest's firmware and need not be libvirt's; slot and function of
 * each bridge on the way from the root bus are the same on both sides.
 */
#include "agent/domain/domain_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bridges on the way; more are a cycle. */
#define HOPS_MAX 8

struct pci_address {
	unsigned long domain, bus, slot, function;
};

/* "0x1f", at most limit. */
static bool
read_number(unsigned long *out, const xmlNode *node, const char *name,
    unsigned long limit)
{
	char *text = domain_xml_attr(node, name), *end;
	bool ok = false;

	if (text != NULL && *text != '\0') {
		errno = 0;
		*out = strtoul(text, &end, 0);
		ok = *end == '\0' && errno == 0 && *out <= limit;
	}
	free(text);
	return ok;
}

static bool
read_address(struct pci_address *out, const xmlNode *device)
{
	const xmlNode *node = domain_xml_child(device, "address");

	return node != NULL && domain_xml_attr_is(node, "type", "pci") &&
	       read_number(&out->domain, node, "domain", 0xffff) &&
	       read_number(&out->bus, node, "bus", 0xff) &&
	       read_number(&out->slot, node, "slot", 0x1f) &&
	       read_number(&out->function, node, "function", 7);
}

/* What the bus hangs on; false: a root of its own, or nothing we know. */
static bool
find_bridge(struct pci_address *out, const xmlNode *devices, unsigned long bus)
{
	static const char *const bridges[] = { "pci-bridge", "pcie-root-port",
		"pcie-switch-upstream-port", "pcie-switch-downstream-port",
		"dmi-to-pci-bridge", "pcie-to-pci-bridge" };
	const xmlNode *node = domain_xml_child(devices, "controller");
	unsigned long index;
	size_t i;

	for (; node != NULL; node = domain_xml_next(node, "controller")) {
		if (!domain_xml_attr_is(node, "type", "pci") ||
		    !read_number(&index, node, "index", 0xff) || index != bus)
			continue;
		for (i = 0; i < sizeof(bridges) / sizeof(bridges[0]); i++)
			if (domain_xml_attr_is(node, "model", bridges[i]))
				return read_address(out, node);
		return false;
	}
	return false;
}

char *
domain_pci_way(const xmlNode *devices, const xmlNode *device)
{
	struct pci_address hops[HOPS_MAX];
	char text[64] = "";
	size_t count = 0, used;

	if (!read_address(&hops[0], device))
		return strdup("");
	while (hops[count].bus != 0) {
		if (++count == HOPS_MAX ||
		    !find_bridge(&hops[count], devices, hops[count - 1].bus))
			return strdup("");
	}
	if (hops[count].domain != 0)
		return strdup("");
	used = (size_t)snprintf(text, sizeof(text), "0000:00:%02lx.%lx",
	    hops[count].slot, hops[count].function);
	while (count-- > 0)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
		    "/%02lx.%lx", hops[count].slot, hops[count].function);
	return strdup(text);
}
