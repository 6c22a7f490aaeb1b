/* SPDX-License-Identifier: Apache-2.0 */
/* Domain XML: disks read from it, definitions rewritten, hostile ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/domain/domain.h"
#include "common/err.h"

static const char sample[] =
    "<domain type='kvm' id='3'><name>web</name>"
    "<uuid>11111111-2222-3333-4444-555555555555</uuid>"
    "<genid>99999999-2222-3333-4444-555555555555</genid>"
    "<sysinfo type='smbios'><system><entry name='uuid'>"
    "11111111-2222-3333-4444-555555555555</entry>"
    "<entry name='serial'>S1</entry></system></sysinfo>"
    "<os><type>hvm</type><kernel>/boot/k</kernel>"
    "<nvram template='/usr/t.fd'>/var/old/web_VARS.fd</nvram></os>"
    "<devices><emulator>/usr/bin/qemu</emulator>"
    "<disk type='file' device='disk'>"
    "<driver name='qemu' type='raw' cache='none'/>"
    "<source file='/old/a.qcow2' index='2'>"
    "<seclabel model='dac' relabel='no'/></source>"
    "<backingStore type='file'><format type='qcow2'/>"
    "<source file='/old/base.qcow2'/></backingStore>"
    "<target dev='vda' bus='virtio'/><serial>S&amp;1</serial></disk>"
    "<disk type='network' device='disk'><source protocol='rbd' name='p/i'/>"
    "<auth username='u'><secret type='ceph' uuid='x'/></auth>"
    "<target dev='vdb' bus='virtio'/></disk>"
    "<disk type='block' device='disk'><driver name='qemu' type='raw'/>"
    "<source dev='/dev/vg/lv'/><target dev='vdc'/><shareable/></disk>"
    "<disk type='file' device='cdrom'><source file='/old/x.iso'/>"
    "<target dev='sda' bus='sata'/><readonly/></disk>"
    "<interface type='network'><mac address='52:54:00:aa:bb:cc'/>"
    "<source network='default'/><target dev='vnet9'/></interface>"
    "<serial type='file'><source path='/old/serial.log'/>"
    "<target port='0'/></serial>"
    "<channel type='unix'><source mode='bind' path='/old/ch.sock'/>"
    "<target type='virtio' name='org.holdstill.guest.0'/></channel>"
    "<graphics type='vnc' port='5901' autoport='no' socket='/old/vnc'>"
    "<listen type='socket' socket='/old/vnc'/></graphics>"
    "</devices><seclabel type='dynamic' model='dac'><label>+1:+1</label>"
    "</seclabel></domain>";

static char *
rewrite(const char *xml, const char *name, bool same_identity)
{
	static const struct definition_disk disks[] = {
		{ "vda", "/new/a & 'b'.qcow2", "qcow2" },
		{ "vdb", "/dev/vg/new", "raw" },
	};
	struct definition_options options = { .name = name,
		.same_identity = same_identity,
		.disks = disks,
		.disk_count = 2 };
	struct err err = ERR_INIT;
	char *out = NULL;

	if (definition_rewrite(&out, xml, &options, &err) == -1)
		fail_msg("%s", err.text);
	return out;
}

static void
test_definition_rewrite_points_disks(void **state)
{
	char *out = rewrite(sample, NULL, false);
	struct domain_disk *disks = NULL;
	struct err err = ERR_INIT;
	size_t count = 0;

	(void)state;
	assert_int_equal(domain_disks_parse(&disks, &count, out, &err), 0);
	assert_int_equal(count, 3);
	assert_string_equal(disks[0].path, "/new/a & 'b'.qcow2");
	assert_string_equal(disks[0].format, "qcow2");
	assert_string_equal(disks[0].serial, "S&1");
	assert_string_equal(disks[1].type, "block");
	assert_string_equal(disks[1].path, "/dev/vg/new");
	assert_string_equal(disks[1].format, "raw");
	assert_string_equal(disks[2].target, "sda");
	assert_string_equal(disks[2].path, "");
	assert_non_null(strstr(out, "cache=\"none\""));
	assert_null(strstr(out, "/old/"));
	assert_null(strstr(out, "backingStore"));
	assert_null(strstr(out, "<auth"));
	domain_disks_free(disks, count);
	free(out);
}

/* A disk of its own, on the bus of a bridge, on a root bus of its own. */
static const char buses[] =
    "<domain><devices>"
    "<controller type='pci' index='0' model='pcie-root'/>"
    "<controller type='pci' index='1' model='pcie-root-port'><address "
    "type='pci' domain='0x0000' bus='0x00' slot='0x02' function='0x4'/>"
    "</controller>"
    "<controller type='pci' index='2' model='pcie-to-pci-bridge'><address "
    "type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>"
    "</controller>"
    "<controller type='pci' index='3' model='pcie-expander-bus'><address "
    "type='pci' domain='0x0000' bus='0x00' slot='0x03' function='0x0'/>"
    "</controller>"
    "<controller type='pci' index='4' model='pci-bridge'><address "
    "type='pci' domain='0x0000' bus='0x04' slot='0x03' function='0x0'/>"
    "</controller>"
    "<disk><target dev='vda'/><address type='pci' domain='0x0000' "
    "bus='0x00' slot='0x1f' function='0x7'/></disk>"
    "<disk><target dev='vdb'/><address type='pci' domain='0x0000' "
    "bus='0x02' slot='0x0a' function='0x0'/></disk>"
    "<disk><target dev='vdc'/><address type='pci' domain='0x0000' "
    "bus='0x03' slot='0x01' function='0x0'/></disk>"
    "<disk><target dev='vdd'/><address type='pci' domain='0x0000' "
    "bus='0x04' slot='0x01' function='0x0'/></disk>"
    "<disk><target dev='vde'/><address type='pci' domain='0x0000' "
    "bus='0x00' slot='0x20' function='0x0'/></disk>"
    "<disk><target dev='sda'/><serial>S</serial><wwn>5000c50015ea71ad</wwn>"
    "<address type='drive' controller='0' bus='0' target='0' unit='0'/>"
    "</disk></devices></domain>";

static void
test_definition_disks_have_their_way_on_the_bus(void **state)
{
	static const char *const ways[] = { "0000:00:1f.7",
		"0000:00:02.4/00.0/0a.0", "", "", "", "" };
	struct domain_disk *disks = NULL;
	struct err err = ERR_INIT;
	size_t count = 0, i;

	(void)state;
	assert_int_equal(domain_disks_parse(&disks, &count, buses, &err), 0);
	assert_int_equal(count, 6);
	for (i = 0; i < count; i++)
		assert_string_equal(disks[i].pci, ways[i]);
	assert_string_equal(disks[0].wwn, "");
	assert_string_equal(disks[5].wwn, "5000c50015ea71ad");
	domain_disks_free(disks, count);
}

static void
test_definition_rewrite_drops_identity(void **state)
{
	char *out = rewrite(sample, "web-2", false);

	(void)state;
	assert_non_null(strstr(out, "<name>web-2</name>"));
	assert_null(strstr(out, "<name>web</name>"));
	assert_null(strstr(out, "11111111-2222"));
	assert_null(strstr(out, "99999999-2222"));
	assert_non_null(strstr(out, "<genid/>"));
	assert_null(strstr(out, "52:54:00"));
	assert_null(strstr(out, "vnet9"));
	assert_null(strstr(out, "5901"));
	assert_null(strstr(out, " id=\"3\""));
	assert_non_null(strstr(out, "S1"));
	free(out);
}

static void
test_definition_rewrite_keeps_identity(void **state)
{
	char *out = rewrite(sample, NULL, true);

	(void)state;
	assert_non_null(strstr(out, "<name>web</name>"));
	assert_non_null(strstr(out, "<uuid>11111111-2222"));
	assert_non_null(strstr(out, "<genid>99999999-2222"));
	assert_non_null(strstr(out, "52:54:00:aa:bb:cc"));
	assert_non_null(strstr(out, "5901"));
	free(out);
}

static void
test_definition_rewrite_forgets_the_host(void **state)
{
	char *out = rewrite(sample, NULL, true);

	(void)state;
	assert_null(strstr(out, "seclabel"));
	assert_null(strstr(out, "/old/"));
	assert_non_null(strstr(out, "<serial type=\"pty\">"));
	assert_non_null(strstr(out, "name=\"org.holdstill.guest.0\""));
	assert_non_null(strstr(out, "template=\"/usr/t.fd\""));
	assert_non_null(strstr(out, "<kernel>/boot/k</kernel>"));
	free(out);
}

static void
test_definition_rewrite_escapes_names(void **state)
{
	char *out = rewrite(sample, "a<b>&c", false);

	(void)state;
	assert_non_null(strstr(out, "<name>a&lt;b&gt;&amp;c</name>"));
	free(out);
}

static void
check_refused(const char *xml)
{
	struct definition_options options = { .name = "x" };
	struct err err = ERR_INIT;
	char *out = NULL;

	assert_int_equal(definition_rewrite(&out, xml, &options, &err), -1);
	assert_int_equal(err.class, ERR_ARG);
	assert_null(out);
}

static void
test_definition_rewrite_refuses_hostile_xml(void **state)
{
	(void)state;
	check_refused("");
	check_refused("<domain><devices>");
	check_refused("<other><devices/></other>");
	check_refused("<domain/>");
	check_refused(
	    "<!DOCTYPE domain [<!ENTITY a SYSTEM "
	    "'file:///etc/hostname'>]><domain><name>&a;</name><devices/>"
	    "</domain>");
	check_refused("<!DOCTYPE domain [<!ENTITY a 'aaaa'><!ENTITY b "
		      "'&a;&a;'>]><domain><devices/></domain>");
	check_refused("<!DOCTYPE domain SYSTEM 'http://127.0.0.1:1/x'>"
		      "<domain><devices/></domain>");
}

static void
test_definition_rewrite_refuses_depth_and_size(void **state)
{
	enum { DEPTH = 200000, SIZE = 5 << 20 };
	char *xml = malloc(SIZE + 1);
	size_t i, used = 0;

	(void)state;
	assert_non_null(xml);
	used += (size_t)sprintf(xml, "<domain><devices>");
	for (i = 0; i < DEPTH; i++)
		used += (size_t)sprintf(xml + used, "<d>");
	check_refused(xml);
	memset(xml, ' ', SIZE);
	xml[SIZE] = '\0';
	memcpy(xml, "<domain>", 8);
	check_refused(xml);
	free(xml);
}

/* Cutting, doubling and swapping bytes ends in an error or a document. */
static void
test_definition_rewrite_survives_damage(void **state)
{
	struct definition_options options = { 0 };
	struct err err = ERR_INIT;
	char copy[sizeof(sample)], *out;
	int round;

	(void)state;
	srand(11);
	for (round = 0; round < 3000; round++) {
		memcpy(copy, sample, sizeof(sample));
		copy[(size_t)rand() % (sizeof(sample) - 1)] =
		    "<>/='\"& x\xff"[rand() % 10];
		if (round % 3 == 0)
			copy[(size_t)rand() % sizeof(sample)] = '\0';
		out = NULL;
		if (definition_rewrite(&out, copy, &options, &err) == 0)
			assert_non_null(out);
		free(out);
	}
}

static void
test_definition_disks_are_read(void **state)
{
	struct domain_disk *disks = NULL;
	struct err err = ERR_INIT;
	size_t count = 0;

	(void)state;
	assert_int_equal(domain_disks_parse(&disks, &count, sample, &err), 0);
	assert_int_equal(count, 4);
	assert_string_equal(disks[0].target, "vda");
	assert_string_equal(disks[0].path, "/old/a.qcow2");
	assert_true(disks[0].is_disk && disks[0].writable);
	assert_false(disks[0].shareable);
	assert_string_equal(disks[1].type, "network");
	assert_string_equal(disks[1].path, "");
	assert_string_equal(disks[2].path, "/dev/vg/lv");
	assert_true(disks[2].shareable);
	assert_false(disks[3].is_disk);
	assert_false(disks[3].writable);
	domain_disks_free(disks, count);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_definition_rewrite_points_disks),
		cmocka_unit_test(
		    test_definition_disks_have_their_way_on_the_bus),
		cmocka_unit_test(test_definition_rewrite_drops_identity),
		cmocka_unit_test(test_definition_rewrite_keeps_identity),
		cmocka_unit_test(test_definition_rewrite_forgets_the_host),
		cmocka_unit_test(test_definition_rewrite_escapes_names),
		cmocka_unit_test(test_definition_rewrite_refuses_hostile_xml),
		cmocka_unit_test(
		    test_definition_rewrite_refuses_depth_and_size),
		cmocka_unit_test(test_definition_rewrite_survives_damage),
		cmocka_unit_test(test_definition_disks_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
