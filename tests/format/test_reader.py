#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The written format against itself and against what holdstill makes.

    test_reader.py [--made-by MAKER] [--program HOLDSTILL] [unittest's own]

MAKER DIR makes a folder in DIR for each mode: `repo`, `points/ID-TARGET` as
the disks were, and for a sealed one `key`, a key file. HOLDSTILL, the program
itself, is to read what hswrite.py writes.
"""

import glob
import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

import hsformat as hs
import hsread
import hsseal
import hswrite

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE = os.path.join(HERE, "..", "..", "docs", "format.md")
MODES = (("none", ""), ("secret", "aes-256-gcm"),
         ("secret", "chacha20-poly1305"), ("public", "aes-256-gcm"),
         ("public", "chacha20-poly1305"))
SECRET = bytes(range(32))
made_by = program = None


def disk_bytes(blocks, seed, odd=0):
    """Blocks of text, of noise and of zeros."""
    out = []
    for i in range(blocks):
        word = hashlib.sha256(b"%d %d" % (seed, i)).digest()
        out.append((bytes(hs.BLOCK), word * 2048,
                    hashlib.shake_128(word).digest(hs.BLOCK))[i % 3])
    return b"".join(out) + b"end"[:odd]


def restored(repository, point, target):
    folder = tempfile.mkdtemp(dir=repository.folder)
    path = os.path.join(folder, "out")
    disk, = (d for d in repository.point("points/" + point)[0]["disks"]
             if d["target"] == target)
    try:
        if repository.places is None:
            repository.load_places(lambda key, e: None)
        repository.restore(disk, path)
        with open(path, "rb") as f:
            return f.read()
    finally:
        shutil.rmtree(folder)


def complaints(folder, secret=None):
    found = {}
    hsread.Repository(folder, secret).check(
        lambda key, e: found.setdefault(key, str(e)))
    return found


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="holdstill-format-")
        self.addCleanup(shutil.rmtree, self.folder)

    def repo(self, name="repo"):
        return os.path.join(self.folder, name)

    def path(self, key):
        return os.path.join(self.repo(), *key.split("/"))

    def change(self, key, at, value, again=False):
        """Writes bytes into an object; makes its SHA-256 anew if asked."""
        with open(self.path(key), "rb") as f:
            data = bytearray(f.read())
        at %= len(data)
        data[at:at + len(value)] = value
        if again:
            data[-32:] = hashlib.sha256(data[:-32]).digest()
        with open(self.path(key), "wb") as f:
            f.write(data)

    def refused(self, exception, words, *args):
        with self.assertRaisesRegex(exception, words):
            hsread.Repository(self.repo(), *args).check(self.throw)

    @staticmethod
    def throw(_, e):
        raise e


def example():
    """(the pack of the page's example, its map piece, the root)."""
    with open(PAGE, encoding="utf-8") as f:
        page = f.read()
    rows = re.findall(r"^([0-9a-f]{8})((?:  ?[0-9a-f]{2}){1,16})", page, re.M)
    pack = b""
    for at, row in rows:
        assert int(at, 16) == len(pack), at
        pack += bytes.fromhex(row)
    a = hashlib.sha256(b"A" * hs.BLOCK).digest()
    b = hashlib.sha256(b"B" * 1000 + bytes(hs.BLOCK - 1000)).digest()
    piece = b"HSM1" + bytes(4) + a + hs.ZERO + b + 61 * hs.ZERO
    root = re.search(r"^([0-9a-f]{64}), is the root", page, re.M)[1]
    return pack, piece, bytes.fromhex(root)


class Example(Case):
    def test_example_is_what_the_reader_accepts(self):
        pack, piece, root = example()
        self.assertEqual(hashlib.sha256(piece).digest(), root)
        w = hswrite.Writer(self.repo())
        ident = pack[16:32]
        w.save(hs.key_of(hs.PACK, ident), pack)
        at, stored = struct.unpack_from(">QI", pack, len(pack) - 56)
        w.indexed.append((ident, len(pack), pack[at:at + stored]))
        w.pack([(hs.MAP, piece)])
        w.index()
        m = w.manifest([("vda", 132072, root)])
        w.put_point(m)
        self.assertEqual(complaints(self.repo()), {})
        got = restored(hsread.Repository(self.repo()), m["id"], "vda")
        self.assertEqual(got, b"A" * 65536 + bytes(65536) + b"B" * 1000)

    def test_every_byte_of_the_example_counts(self):
        pack, _, _ = example()
        w = hswrite.Writer(self.repo())
        key = w.save(hs.key_of(hs.PACK, pack[16:32]), pack)
        for at in range(len(pack)):
            self.change(key, at, bytes([pack[at] ^ 0x80]))
            with self.assertRaises((hs.Damage, hs.Later)):
                hsread.Repository(self.repo()).check(self.throw)
            self.change(key, at, pack[at:at + 1])
        self.assertEqual(complaints(self.repo()), {})


class Modes(Case):
    def each_mode(self):
        for mode, cipher in MODES:
            shutil.rmtree(self.repo(), ignore_errors=True)
            w = hswrite.Writer(self.repo(), mode, cipher)
            if mode != "none":
                w.slot("file", SECRET)
            yield w, None if mode == "none" else ("file", SECRET)

    def test_points_restore(self):
        for w, secret in self.each_mode():
            a = {"vda": disk_bytes(70, 1, 3), "vdb": bytes(hs.BLOCK * 70),
                 "vdc": b"", "vdd": b"short"}
            b = dict(a, vda=a["vda"][:hs.BLOCK] + disk_bytes(69, 2))
            ids = [w.backup(a)]
            ids.append(w.backup(b, ids[0]))
            self.assertEqual(complaints(self.repo(), secret), {})
            r = hsread.Repository(self.repo(), secret)
            for ident, disks in zip(ids, (a, b)):
                for target, data in disks.items():
                    self.assertEqual(restored(r, ident, target), data)

    def test_without_an_index_the_packs_serve(self):
        for w, secret in self.each_mode():
            ident = w.backup({"vda": disk_bytes(5, 1)})
            shutil.rmtree(os.path.join(self.repo(), "index"))
            r = hsread.Repository(self.repo(), secret)
            self.assertEqual(restored(r, ident, "vda"), disk_bytes(5, 1))

    def test_any_changed_byte_is_found(self):
        for w, secret in self.each_mode():
            w.backup({"vda": disk_bytes(3, 1)})
            r = hsread.Repository(self.repo(), secret)
            keys = sum((r.keys(t) for t in (
                hs.CONFIG, hs.INDEX, hs.POINT, hs.PACK, hs.KEY)), [])
            for key in keys:
                size = os.path.getsize(self.path(key))
                for at in (*range(0, 112, 5), size // 2,
                           *range(size - 100, size, 7)):
                    with open(self.path(key), "rb") as f:
                        f.seek(at % size)
                        was = f.read(1)
                    self.change(key, at, bytes([was[0] ^ 1]))
                    with self.assertRaises((hs.Damage, hs.Later)):
                        hsread.Repository(self.repo(), secret).check(
                            self.throw)
                    self.change(key, at, was)

    def test_later_versions_and_flags_are_refused(self):
        for w, secret in self.each_mode():
            w.backup({"vda": disk_bytes(2, 1)})
            for type_ in hs.CONFIG, hs.INDEX, hs.POINT:
                key, = hsread.Repository(self.repo(), secret).keys(type_)
                with open(self.path(key), "rb") as f:
                    was = f.read(16)
                for at, value in (9, b"\2"), (10, b"\x80"), (11, b"\x40"):
                    self.change(key, at, value, True)
                    self.refused(hs.Later, "made by a later program", secret)
                    self.change(key, at, was[at:at + 1], True)
            self.assertEqual(complaints(self.repo(), secret), {})

    def test_an_object_under_another_name_is_refused(self):
        for w, secret in self.each_mode():
            for seed in 1, 2:
                w.backup({"vda": disk_bytes(2, seed)})
            for type_ in hs.INDEX, hs.POINT, hs.PACK:
                keys = hsread.Repository(self.repo(), secret).keys(type_)
                a, b = map(self.path, keys[:2])
                for _ in 1, 2:      # Swapped, and back again.
                    os.rename(a, a + ".x")
                    os.rename(b, a)
                    os.rename(a + ".x", b)
                    if _ == 1:
                        self.refused(hs.Damage, "another object's id", secret)
            self.assertEqual(complaints(self.repo(), secret), {})


class Plain(Case):
    def setUp(self):
        super().setUp()
        self.w = hswrite.Writer(self.repo())

    def test_foreign_files_are_left_alone(self):
        self.w.backup({"vda": disk_bytes(2, 1)})
        for key in "README", "packs/00/" + "1" * 32, "tmp/" + "0" * 32:
            self.w.save(key, b"not ours")
        self.assertEqual(complaints(self.repo()), {})

    def test_a_blob_has_as_many_places_as_packs(self):
        ident = self.w.backup({"vda": disk_bytes(3, 1)})
        first = hsread.Repository(self.repo()).keys(hs.PACK)
        self.w.known.clear()
        self.w.backup({"vda": disk_bytes(3, 1)})
        for key in first:
            os.unlink(self.path(key))
        r = hsread.Repository(self.repo())
        self.assertEqual(restored(r, ident, "vda"), disk_bytes(3, 1))

    def test_a_missing_pack_is_named(self):
        ident = self.w.backup({"vda": disk_bytes(3, 1)})
        for key in hsread.Repository(self.repo()).keys(hs.PACK):
            os.unlink(self.path(key))
        with self.assertRaisesRegex(hs.Damage, "packs/.*is missing"):
            restored(hsread.Repository(self.repo()), ident, "vda")

    def forged(self, **changes):
        m = self.w.manifest([("vda", 5, hs.ZERO)])
        m.update(changes)
        return "points/" + self.w.put_point(m)[7:]

    def test_members_are_held_to_their_values(self):
        for name, value, words in (
                ("kind", "half", "unknown kind"),
                ("consistency", "best", "unknown consistency"),
                ("time_ms", "1", "time_ms"), ("disks", {}, "disks"),
                ("parent", "x", "parent"), ("duration_ms", True, "duration")):
            key = self.forged(**{name: value})
            with self.assertRaisesRegex(hs.Damage, words):
                hsread.Repository(self.repo()).point(key)
        hsread.Repository(self.repo()).point(self.forged(later=[1]))

    def test_a_tombstone_is_no_point(self):
        self.w.backup({"vda": b"x"})
        ident = os.urandom(16)
        data = hs.HEAD.pack(b"HOLDSTIL", hs.TOMBSTONE, 1, 0, 0, bytes(3),
                            ident, 2, 2) + b"{}"
        key = self.w.save(hs.key_of(hs.POINT, ident),
                          data + hashlib.sha256(data).digest())
        r = hsread.Repository(self.repo())
        self.assertEqual(len(r.points()), 1)
        self.assertEqual(complaints(self.repo()), {})
        with self.assertRaisesRegex(hs.Damage, "is a tombstone"):
            r.point(key)
        # One that a manifest became by damage is damage.
        self.change(r.points()[0], 8, bytes([hs.TOMBSTONE]))
        self.refused(hs.Damage, "SHA-256 differs")

    def test_a_root_that_is_nowhere(self):
        m = self.w.manifest([("vda", 5, b"\1" * 32)])
        key = self.w.put_point(m)
        self.assertEqual(list(complaints(self.repo())), [key])

    def test_a_data_block_is_no_map_piece(self):
        piece = b"HSM1" + bytes(4) + b"\1" * 32
        root = self.w.disk(piece.ljust(hs.BLOCK, b"\0"))
        self.w.index()
        block = hashlib.sha256(piece.ljust(hs.BLOCK, b"\0")).digest()
        self.assertNotEqual(root, block)
        self.w.put_point(self.w.manifest([("vda", 5, block)]))
        self.refused(hs.Damage, "map piece .*: no pack has it")

    def test_entries_behind_the_end(self):
        piece = b"HSM1" + bytes(4) + bytes(32) + b"\1" * 32 + bytes(62 * 32)
        self.w.pack([(hs.MAP, piece)])
        self.w.index()
        root = hashlib.sha256(piece).digest()
        self.w.put_point(self.w.manifest([("vda", 5, root)]))
        self.assertEqual(complaints(self.repo()), {})
        self.w.put_point(self.w.manifest([("vda", hs.BLOCK + 1, root)]))
        self.refused(hs.Damage, "no pack has it")


class Sealed(Case):
    def setUp(self):
        super().setUp()
        self.w = hswrite.Writer(self.repo(), "secret")

    def test_each_kind_of_slot_opens(self):
        recovery = hsseal.read_recovery_key(
            hsseal.write_recovery_key(SECRET).lower().replace("0", "o"))
        self.assertEqual(recovery, SECRET)
        ident = self.w.backup({"vda": b"x"})
        for secret in (("passphrase", b"correct horse"), ("file", SECRET),
                       ("recovery", SECRET)):
            self.w.slot(*secret)
            r = hsread.Repository(self.repo(), secret)
            self.assertEqual(restored(r, ident, "vda"), b"x")

    def test_wrong_missing_and_needless_keys(self):
        self.w.slot("passphrase", b"right")
        self.refused(hsseal.WrongKey, "give a key", None)
        self.refused(hsseal.WrongKey, "no slot opens", ("passphrase", b"no"))
        self.refused(hsseal.WrongKey, "no slot opens", ("file", SECRET))
        shutil.rmtree(self.repo())
        hswrite.Writer(self.repo())
        self.refused(hs.Damage, "was config replaced", ("file", SECRET))

    def test_a_slip_in_the_recovery_key(self):
        text = hsseal.write_recovery_key(SECRET)
        self.assertRegex(text, r"^([0-9A-HJKMNP-TV-Z]{4}-){13}")
        other = ("1" if text[0] != "1" else "2") + text[1:]
        with self.assertRaisesRegex(hsseal.WrongKey, "slip"):
            hsseal.read_recovery_key(other)

    def test_costs_are_bounded(self):
        self.w.slot("passphrase", b"right")
        slot = {"kind": "passphrase", "salt": "00" * 32, "passes": 1,
                "memory_kib": (4 << 20) + 1, "lanes": 1}
        with self.assertRaisesRegex(hs.Damage, "too high"):
            hsseal.slot_keys(slot, b"x")
        with self.assertRaisesRegex(hs.Damage, "too low"):
            hsseal.slot_keys(dict(slot, memory_kib=7), b"x")

    def test_a_slot_that_was_tampered_with(self):
        key = self.w.slot("file", SECRET)
        with open(self.path(key), "rb") as f:
            data = f.read()
        at = data.index(b'"wrapped": "') + 12
        self.change(key, at, b"xx", True)
        self.refused(hs.Damage, "wrapped is no hash", ("file", SECRET))
        self.change(key, at, b"11" if data[at:at + 2] == b"00" else b"00",
                    True)
        self.refused(hs.Damage, "tampered with", ("file", SECRET))

    def test_slots_of_another_repository_are_passed_over(self):
        key = self.w.slot("file", SECRET)
        shutil.move(self.repo(), self.repo("other"))
        self.w = hswrite.Writer(self.repo(), "secret")
        with open(os.path.join(self.repo("other"), key), "rb") as f:
            self.w.save(key, f.read())
        self.refused(hsseal.WrongKey, "no slot opens", ("file", SECRET))

    def test_an_object_put_under_another_key(self):
        """The name is bound, also where the id would do."""
        self.w.slot("file", SECRET)
        ident = os.urandom(16)
        was, self.w.message = self.w.message, None
        self.w.message = lambda key, at, name, bound, data: was(
            key, at, "index/" + ident.hex(), bound, data)
        m = self.w.manifest([("vda", 5, hs.ZERO)])
        self.w.put_point(m)
        self.refused(hs.Damage, "sealed bytes", ("file", SECRET))

    def test_changed_config(self):
        self.w.slot("file", SECRET)
        with open(self.path("config"), "rb") as f:
            text = f.read()
        os.unlink(self.path("config"))
        text = text[:-32].replace(b'"aes-256-gcm", ', b'"chacha20-poly1305",')
        text = text[:32] + struct.pack(">QQ", *[len(text) - 48] * 2) + text[48:]
        self.w.save("config", text + hashlib.sha256(text).digest())
        self.refused(hs.Damage, "somebody changed it", ("file", SECRET))

    def test_plain_objects_are_refused(self):
        self.w.slot("file", SECRET)
        seal, self.w.seal = self.w.seal, None
        self.w.put_point(self.w.manifest([("vda", 5, hs.ZERO)]))
        self.w.seal = seal
        self.refused(hs.Damage, "flags 0 in a repository", ("file", SECRET))

    def test_names_are_keyed(self):
        w = self.w
        w.disk(disk_bytes(2, 1))
        sha = hashlib.sha256(disk_bytes(2, 1)[hs.BLOCK:]).digest()
        self.assertIn((hs.DATA, w.seal.name(sha)), w.known)
        self.assertNotIn((hs.DATA, sha), w.known)


class Chain(Case):
    def setUp(self):
        super().setUp()
        self.w = hswrite.Writer(self.repo(), "public")
        self.w.slot("file", SECRET)
        self.secret = "file", SECRET

    def test_a_point_of_another_hand(self):
        key = self.w.put_point(self.w.manifest([("vda", 5, hs.ZERO)]))
        self.assertEqual(complaints(self.repo(), self.secret), {})
        at = -32 - hsseal.TRAILER.size
        self.change(key, at + 23, b"\1", True)      # n
        self.refused(hs.Damage, "not made by the host", self.secret)
        self.change(key, at + 23, b"\0", True)
        self.assertEqual(complaints(self.repo(), self.secret), {})
        self.change(key, at + 20, b"\1", True)      # n, too large to try
        self.refused(hs.Damage, "number of the host's chain", self.secret)

    def test_a_double(self):
        self.w.put_point(self.w.manifest([("vda", 5, hs.ZERO)]))
        self.w.n = 0
        self.w.put_point(self.w.manifest([("vda", 6, hs.ZERO)]))
        self.refused(hs.Damage, "has a double", self.secret)


class Made(Case):
    """What the program made."""

    def test_made(self):
        if made_by is None:
            self.skipTest("no --made-by")
        subprocess.run([made_by, self.folder], check=True)
        modes = sorted(os.listdir(self.folder))
        self.assertIn("none", modes)
        for mode in modes:
            with self.subTest(mode=mode):
                self.one(os.path.join(self.folder, mode))

    def one(self, folder):
        secret, repo = None, os.path.join(folder, "repo")
        if os.path.exists(os.path.join(folder, "key")):
            with open(os.path.join(folder, "key"), encoding="ascii") as f:
                secret = "file", hsseal.read_key_file(f.read())
        self.assertEqual(complaints(repo, secret), {})
        r, seen = hsread.Repository(repo, secret), set()
        for path in glob.glob(os.path.join(folder, "points", "*")):
            point, _, target = os.path.basename(path).partition("-")
            with open(path, "rb") as f:
                self.assertTrue(f.read() == restored(r, point, target),
                                "%s of %s" % (target, point))
            seen.add("points/" + point)
        self.assertEqual(sorted(seen), r.keys(hs.POINT))
        self.assertGreater(len(seen), 1)


class Written(Case):
    """What hswrite.py writes, read by the program."""

    def holdstill(self, *args):
        config = os.path.join(self.folder, "config")
        open(config, "a", encoding="ascii").close()
        os.chmod(config, 0o600)
        return subprocess.run(
            [program, *args, "--config", config, "--repo", self.repo(),
             "--state-dir", os.path.join(self.folder, "state"), "--quiet"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False)

    def restored(self, point, target):
        path = os.path.join(self.folder, "out.raw")
        done = self.holdstill("restore", point, "--disk",
                              "%s=%s" % (target, path))
        self.assertEqual(done.returncode, 0, done.stdout)
        with open(path, "rb") as f:
            data = f.read()
        os.unlink(path)
        return data

    def setUp(self):
        super().setUp()
        if program is None:
            self.skipTest("no --program")
        os.mkdir(os.path.join(self.folder, "state"))

    def test_program_reads(self):
        w = hswrite.Writer(self.repo())
        a = {"vda": disk_bytes(70, 1, 3), "vdb": b"", "vdc": bytes(5)}
        b = dict(a, vda=a["vda"][:hs.BLOCK] + disk_bytes(69, 2), vdb=b"xyz")
        ids = [w.backup(a)]
        ids.append(w.backup(b, ids[0]))
        done = self.holdstill("verify")
        self.assertEqual(done.returncode, 0, done.stdout)
        for ident, disks in zip(ids, (a, b)):
            for target, data in disks.items():
                self.assertEqual(self.restored(ident, target), data)

    def test_program_keeps_what_no_session_names(self):
        w = hswrite.Writer(self.repo(), registers=False)
        a = {"vda": disk_bytes(70, 1, 3)}
        ident = w.backup(a)
        done = self.holdstill("verify")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("no session and no epoch names it", done.stdout)
        for _ in range(3):
            done = self.holdstill("prune", "--undelete-days", "0")
            self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(self.restored(ident, "vda"), a["vda"])
        done = self.holdstill("repair")
        self.assertEqual(done.returncode, 0, done.stdout)
        done = self.holdstill("verify")
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_program_reads_what_is_sealed(self):
        self.sealed("secret")

    def test_program_reads_what_hosts_may_only_add_to(self):
        self.sealed("public")

    def sealed(self, mode):
        w = hswrite.Writer(self.repo(), mode)
        w.slot("file", SECRET)
        key = os.path.join(self.folder, "key")
        with open(key, "w", encoding="ascii") as f:
            f.write("holdstill-key-1 %s\n" % SECRET.hex())
        os.chmod(key, 0o600)
        a = {"vda": disk_bytes(70, 1, 3)}
        ident = w.backup(a)
        done = self.holdstill("verify")
        self.assertIn("no key is given", done.stdout)
        os.environ["HOLDSTILL_KEY_FILE"] = key
        try:
            done = self.holdstill("verify")
            self.assertEqual(done.returncode, 0, done.stdout)
            self.assertEqual(self.restored(ident, "vda"), a["vda"])
        finally:
            del os.environ["HOLDSTILL_KEY_FILE"]

    def test_program_refuses_what_is_later(self):
        w = hswrite.Writer(self.repo())
        ident = w.backup({"vda": b"x"})
        for at, value in (9, b"\2"), (11, b"\x40"):
            self.change("points/" + ident, at, value, True)
            done = self.holdstill("restore", ident, "--disk",
                                  "vda=" + os.path.join(self.folder, "out"))
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("made by a later program", done.stdout)


def option(name):
    if name not in sys.argv:
        return None
    i = sys.argv.index(name)
    value = os.path.abspath(sys.argv[i + 1])
    del sys.argv[i:i + 2]
    return value


if __name__ == "__main__":
    made_by, program = option("--made-by"), option("--program")
    unittest.main()
