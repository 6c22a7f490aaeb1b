#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A backup-begin with a checkpoint and nothing else: what no tool can go
below. Prints how long the call took in us, and undoes it.

    bare_begin.py DOMAIN SCRATCH_FOLDER
"""
import os
import sys
import time

import libvirt


def main():
    name, folder = sys.argv[1:]
    domain = libvirt.open("qemu:///system").lookupByName(name)
    scratch = os.path.join(folder, "bare.scratch")
    os.system(f"qemu-img create -q -f qcow2 {scratch} 64M")
    os.chmod(scratch, 0o666)
    backup = f"""<domainbackup mode='pull'>
      <server transport='unix' socket='{folder}/bare.sock'/>
      <disks><disk name='vda' backup='yes' type='file'>
        <driver type='qcow2'/><scratch file='{scratch}'/>
      </disk></disks></domainbackup>"""
    checkpoint = "<domaincheckpoint><name>bare</name></domaincheckpoint>"
    begin = time.monotonic()
    domain.backupBegin(backup, checkpoint,
                       libvirt.VIR_DOMAIN_BACKUP_BEGIN_REUSE_EXTERNAL)
    took = time.monotonic() - begin
    domain.abortJob()
    domain.checkpointLookupByName("bare").delete()
    os.unlink(scratch)
    print(round(took * 1e6))


main()
