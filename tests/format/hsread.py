#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Reads a repository of holdstill by its written format alone.

    hsread.py [KEY] list REPOSITORY
    hsread.py [KEY] check REPOSITORY
    hsread.py [KEY] restore REPOSITORY POINT TARGET FILE

REPOSITORY is the folder; POINT an id or its beginning, TARGET as in `vda`,
FILE is made anew, sparse. `check` reads all, and prints a line for each object
or point that is not well. KEY is one of --passphrase-file, --key-file and
--recovery-key-file, with the name of a file. Exit status: 0 all is well, 1 not.
"""

import argparse
import hashlib
import os
import sys

import hsformat as hs
import hsseal

FRAMES_KEPT = 16


class Repository:
    def __init__(self, folder, secret=None):
        """secret: (kind of slot, bytes), or None."""
        self.folder, self.seal = folder, None
        self.places = None      # (type, name) -> [(pack, size, frame, blob)]
        self.tables = {}        # pack -> its frames
        self.frames = {}        # the last few, as they were before
        head, body = hs.parse_object(self.load("config"), "config")
        hs.need(head.flags == 0, "config is not to be sealed")
        self.config = hs.parse_config(
            head, hs.expand(body, head.coding, head.raw))
        if "encryption" in self.config:
            self.seal = self.unlock(secret)
        elif secret is not None:
            raise hs.Damage("a key is given, but the repository is not "
                            "encrypted: was config replaced?")

    # ---- files ----

    def path(self, key):
        return os.path.join(self.folder, *key.split("/"))

    def load(self, key):
        hs.need(os.path.getsize(self.path(key)) <= hs.OBJECT_MAX, "too large")
        with open(self.path(key), "rb") as f:
            return f.read()

    def keys(self, type_):
        found = []
        for at, _, names in os.walk(self.folder):
            for name in names:
                key = os.path.relpath(os.path.join(at, name), self.folder)
                parsed = hs.parse_key(key)
                if parsed is not None and parsed[0] == type_:
                    found.append(key)
        return sorted(found)

    # ---- sealed or not ----

    def unlock(self, secret):
        if secret is None:
            raise hsseal.WrongKey("the repository is encrypted: give a key")
        kind, secret = secret
        for key in self.keys(hs.KEY):
            head, body = hs.parse_object(self.load(key), key)
            hs.need(head.flags == 0, "a slot is not to be sealed")
            slot = hsseal.parse_slot(hs.expand(body, head.coding, head.raw))
            if (slot["kind"] != kind or
                    slot["repository"] != self.config["id"]):
                continue
            master = hsseal.unwrap(
                slot, head.id, bytes.fromhex(self.config["id"]), secret)
            if master is not None:
                keys = hsseal.Keys(master, self.config)
                hs.need(keys.check(self.config) ==
                        self.config["encryption"]["check"],
                        "config: somebody changed it")
                return keys
        raise hsseal.WrongKey("no slot opens with this key")

    def name(self, data):
        sha = hashlib.sha256(data).digest()
        return self.seal.name(sha) if self.seal else sha

    def must_be_sealed(self, head):
        want = self.seal.flags if self.seal else 0
        if head.type == hs.POINT and want & hs.TO_PUBLIC:
            want |= hs.MARKED
        hs.need(head.flags == want, "flags", head.flags,
                "in a repository where they are", want)

    def open_object(self, key, trailer=0):
        """(head, body) of an index or a point, and what it was made of."""
        data = self.load(key)
        head, body = hs.parse_object(data, key, trailer)
        self.must_be_sealed(head)
        if self.seal:
            at = hs.begin(head)
            k = self.seal.object_key(head, data[hs.HEAD.size:at])
            body = self.seal.open(k, at, key, head.bytes, body)
        return head, hs.expand(body, head.coding, head.raw), data

    # ---- points ----

    def points(self):
        """Keys of all that does not say that it is a tombstone."""
        tombstone = bytes([hs.TOMBSTONE])
        return [k for k in self.keys(hs.POINT)
                if self.load(k)[8:9] != tombstone]

    def point(self, key):
        """(manifest, (host, n) of the chain or None)."""
        chained = self.seal and self.seal.flags & hs.TO_PUBLIC
        head, body, data = self.open_object(
            key, hsseal.TRAILER.size if chained else 0)
        hs.need(head.type == hs.POINT, "is a tombstone")
        link = self.seal.chain(data) if chained else None
        return hs.parse_point(head, body), link

    # ---- packs ----

    def pack(self, key):
        """(head, key of the pack or None, its table) with all checked."""
        size = os.path.getsize(self.path(key))
        with open(self.path(key), "rb") as f:
            def read(at, n):
                f.seek(at)
                data = f.read(n)
                hs.need(len(data) == n, "cut short")
                return data
            head, salt, footer, table = hs.parse_footer(read, size, key)
        self.must_be_sealed(head)
        begin, coding, raw, at = footer
        k = None
        if self.seal:
            k = self.seal.object_key(head, salt)
            table = self.seal.open(k, at, key, head.bytes[:32] + begin, table)
        return head, k, hs.expand(table, coding, raw)

    def parse_table(self, table):
        if self.seal is None:
            return hs.parse_table(table)
        return hs.parse_table(table, hsseal.TAG, hs.HEAD.size + hs.SALT)

    def take_in(self, ident, size, table):
        frames, blobs = self.parse_table(table)
        key = hs.key_of(hs.PACK, ident)
        self.tables[key] = frames
        for blob in blobs:
            self.places.setdefault((blob.type, blob.name), []).append(
                (key, size, frames[blob.frame], blob))

    def load_places(self, complain):
        """All of index/, and the tables of packs that none there names."""
        self.places, indexed = {}, set()
        for key in self.keys(hs.INDEX):
            try:
                for ident, size, table in hs.parse_index(
                        self.open_object(key)[1]):
                    if ident not in indexed:
                        self.take_in(ident, size, table)
                    indexed.add(ident)
            except (hs.Damage, hs.Later) as e:
                complain(key, e)
        for key in self.keys(hs.PACK):
            ident = hs.parse_key(key)[1]
            try:
                if ident not in indexed:
                    self.take_in(ident, os.path.getsize(self.path(key)),
                                 self.pack(key)[2])
            except (hs.Damage, hs.Later) as e:
                complain(key, e)

    def read_frame(self, key, size, frame):
        if (key, frame.at) in self.frames:
            return self.frames[key, frame.at]
        try:
            with open(self.path(key), "rb") as f:
                hs.need(os.fstat(f.fileno()).st_size == size,
                        "size is not", size)
                head_bytes = f.read(hs.HEAD.size)
                salt = f.read(hs.SALT)
                f.seek(frame.at)
                stored = f.read(frame.stored)
        except FileNotFoundError as error:
            raise hs.Damage("is missing") from error
        hs.need(len(stored) == frame.stored, "cut short")
        hs.need(hs.xxh64(stored) == frame.xxh64, "XXH64 differs at",
                frame.at)
        head = hs.parse_head(head_bytes, key)
        self.must_be_sealed(head)
        if self.seal:
            stored = self.seal.open(self.seal.object_key(head, salt),
                                    frame.at, key, head.bytes[:32], stored)
        raw = hs.expand(stored, frame.coding, frame.raw)
        if len(self.frames) == FRAMES_KEPT:
            del self.frames[next(iter(self.frames))]
        self.frames[key, frame.at] = raw
        return raw

    def blob(self, type_, name):
        """The bytes of a blob, proved by its name, from any of its places."""
        why = "no pack has it"
        for key, size, frame, blob in self.places.get((type_, name), ()):
            try:
                data = self.read_frame(key, size, frame)
                data = data[blob.at:blob.at + blob.size]
                hs.need(self.name(data) == name, "not the bytes of its name")
                return data
            except (hs.Damage, hs.Later) as e:
                why = "%s: %s" % (key, e)
        raise hs.Damage("%s %s: %s" % (
            "block" if type_ == hs.DATA else "map piece", name.hex(), why))

    # ---- disks ----

    def leaves(self, root, blocks):
        """(number of the block, its name) of all that are not zeros."""
        todo = [(hs.root_level(blocks), 0, root)]
        while todo:
            level, number, name = todo.pop()
            if name == hs.ZERO:
                continue
            if level < 0:
                yield number, name
                continue
            entries = hs.parse_piece(self.blob(hs.MAP, name), level)
            for i in reversed(range(hs.FANOUT)):
                n = hs.FANOUT * number + i
                if n * hs.FANOUT ** level < blocks:
                    todo.append((level - 1, n, entries[i]))

    def restore(self, disk, path):
        size = disk["size_bytes"]
        with open(path, "xb") as out:
            out.truncate(size)
            for number, name in self.leaves(bytes.fromhex(disk["root"]),
                                            hs.blocks_of(size)):
                data = self.blob(hs.DATA, name)
                out.seek(number * hs.BLOCK)
                out.write(data[:size - number * hs.BLOCK])

    # ---- all ----

    def check_packs(self, complain):
        for key in self.keys(hs.PACK):
            try:
                _, _, table = self.pack(key)
                frames, blobs = self.parse_table(table)
                size = os.path.getsize(self.path(key))
                for i, frame in enumerate(frames):
                    raw = self.read_frame(key, size, frame)
                    for b in blobs:
                        hs.need(b.frame != i or b.name == self.name(
                            raw[b.at:b.at + b.size]), "blob", b.name.hex())
                hs.need(self.tables.get(key, frames) == frames,
                        "its table is not that of its index")
            except (hs.Damage, hs.Later) as e:
                complain(key, e)

    def check(self, complain):
        """All objects, then each disk of each point."""
        self.load_places(complain)
        self.check_packs(complain)
        links = {}
        points = self.points()
        for key in points:
            try:
                manifest, link = self.point(key)
                hs.need(link not in links, "has a double:", links.get(link))
                if link is not None and link[0] != hsseal.OWNER:
                    links[link] = key
                for disk in manifest["disks"]:
                    for _, name in self.leaves(
                            bytes.fromhex(disk["root"]),
                            hs.blocks_of(disk["size_bytes"])):
                        self.blob(hs.DATA, name)
            except (hs.Damage, hs.Later) as e:
                complain(key, e)
        for key in (self.keys(hs.KEY) +
                    sorted(set(self.keys(hs.POINT)) - set(points))):
            try:
                hs.parse_object(self.load(key), key)
            except (hs.Damage, hs.Later) as e:
                complain(key, e)


def read_secret(args):
    if args.passphrase_file:
        with open(args.passphrase_file, "rb") as f:
            return "passphrase", f.read().split(b"\n")[0]
    for name, kind, parse in (
            (args.key_file, "file", hsseal.read_key_file),
            (args.recovery_key_file, "recovery", hsseal.read_recovery_key)):
        if name:
            with open(name, encoding="ascii") as f:
                return kind, parse(f.read())
    return None


def show(repository, complain):
    for key in repository.points():
        try:
            m, _ = repository.point(key)
        except (hs.Damage, hs.Later) as e:
            complain(key, e)
            continue
        print(m["id"], m["time"], m["domain"], m["kind"], m["consistency"],
              " ".join("%s:%d" % (d["target"], d["size_bytes"])
                       for d in m["disks"]))


def restore(repository, args, complain):
    keys = [k for k in repository.points()
            if k.startswith("points/" + args.point)]
    hs.need(len(keys) == 1, len(keys), "points begin with", args.point)
    manifest, _ = repository.point(keys[0])
    disks = [d for d in manifest["disks"] if d["target"] == args.target]
    hs.need(len(disks) == 1, "no disk", args.target)
    repository.load_places(complain)
    repository.restore(disks[0], args.file)


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    key = p.add_mutually_exclusive_group()
    for name in "passphrase", "key", "recovery-key":
        key.add_argument("--%s-file" % name)
    p.add_argument("command", choices=("list", "check", "restore"))
    p.add_argument("repository")
    p.add_argument("point", nargs="?")
    p.add_argument("target", nargs="?")
    p.add_argument("file", nargs="?")
    args = p.parse_args()
    found = []

    def complain(key, e):
        found.append(key)
        print("%s: %s" % (key, e), file=sys.stderr)

    try:
        repository = Repository(args.repository, read_secret(args))
        if args.command == "list":
            show(repository, complain)
        elif args.command == "check":
            repository.check(complain)
        elif args.file is None:
            p.error("restore needs POINT, TARGET and FILE")
        else:
            restore(repository, args, complain)
            found.clear()   # The disk was whole for all that.
    except (hs.Damage, hs.Later, hsseal.WrongKey, OSError) as e:
        sys.exit("hsread: %s" % e)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
