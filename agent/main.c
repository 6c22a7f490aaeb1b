/* SPDX-License-Identifier: Apache-2.0 */
/* holdstill: live backup of libvirt/QEMU guests. */
#include "agent/cli/cli.h"

int
main(int argc, char **argv)
{
	return cli_main(argc, argv);
}
