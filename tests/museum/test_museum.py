#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A museum of damaged repositories, and what the program says to each.

    test_museum.py HOLDSTILL [unittest's own]

Each exhibit is a small repository that hswrite.py made and a function then
hurts. `verify` has to say the words that the exhibit names, object by object,
`list` has to show the points it can, and each point restores to its bytes or
fails with the words named. The second reader has to find fault with what the
program finds fault with, and with nothing else.
"""

import copy
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "format"))
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import hsformat as hs
import hsread
import hswrite
from test_reader import disk_bytes

program = None
OK = ""
SECRET = bytes(range(32))
# So that a small pack has several.
hswrite.FRAME_BLOBS = 4


class Place:
    """Three points: 0, 1 that shares with it, and 2 of another disk."""

    def __init__(self, folder, mode="none"):
        self.w, self.mode = None, mode
        self.move(folder)
        os.mkdir(folder)
        self.w = w = hswrite.Writer(self.repo, mode)
        if mode != "none":
            w.slot("file", SECRET)
            with open(self.key, "w", encoding="ascii") as f:
                os.chmod(self.key, 0o600)
                f.write("holdstill-key-1 %s\n" % SECRET.hex())
        a = {"vda": disk_bytes(20, 1, 3)}
        b = {"vda": a["vda"][:hs.BLOCK * 5] + disk_bytes(15, 2)}
        self.disks = [a, b, {"vda": disk_bytes(4, 3)}]
        self.points, self.packs, self.indexes = [], [], []
        for disks in self.disks:
            before = set(self.keys("packs")), set(self.keys("index"))
            parent = self.points[0] if len(self.points) == 1 else ""
            self.points.append(w.backup(disks, parent))
            self.indexes += set(self.keys("index")) - before[1]
            # The pack of data is the larger one.
            self.packs.append(sorted(set(self.keys("packs")) - before[0],
                                     key=self.size, reverse=True))
        os.mkdir(self.state)
        with open(self.config, "w", encoding="ascii"):
            os.chmod(self.config, 0o600)

    def move(self, folder):
        """To where a copy of the folder lies."""
        self.folder, self.repo = folder, os.path.join(folder, "repo")
        self.state = os.path.join(folder, "state")
        self.config = os.path.join(folder, "holdstill.conf")
        self.key = os.path.join(folder, "key")
        if self.w is not None:
            self.w.folder = self.repo

    def path(self, key):
        return os.path.join(self.repo, *key.split("/"))

    def point(self, i):
        return "points/" + self.points[i]

    def size(self, key):
        return os.path.getsize(self.path(key))

    def keys(self, prefix):
        found = []
        for at, _, names in os.walk(self.path(prefix)):
            found += [os.path.relpath(os.path.join(at, n), self.repo)
                      for n in names]
        return found

    def load(self, key):
        with open(self.path(key), "rb") as f:
            return f.read()

    def replace(self, key, data):
        os.makedirs(os.path.dirname(self.path(key)), exist_ok=True)
        with open(self.path(key), "wb") as f:
            f.write(data)

    def remove(self, key):
        os.unlink(self.path(key))

    def flip(self, key, at):
        data = bytearray(self.load(key))
        data[at] ^= 1
        self.replace(key, bytes(data))

    def swap(self, a, b):
        was = self.load(a)
        self.replace(a, self.load(b))
        self.replace(b, was)

    def forge(self, i, **changes):
        """Point i anew, well wrapped, with other members."""
        m = hsread.Repository(self.repo).point(self.point(i))[0]
        for name, value in changes.items():
            (m["disks"][0] if name in ("root", "size_bytes") else m)[
                name] = value
        self.remove(self.point(i))
        self.w.put_point(m)

    def root(self, i):
        m = hsread.Repository(self.repo).point(self.point(i))[0]
        return bytes.fromhex(m["disks"][0]["root"])

    def holdstill(self, *args):
        done = subprocess.run(
            [program, *args, "--config", self.config, "--repo", self.repo,
             "--state-dir", self.state, "--no-progress",
             *(["--key-file", self.key] if self.mode != "none" else [])],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=120, check=False)
        return done.returncode, done.stdout


class Exhibit:
    """What is to be heard. Words are regular expressions, OK is none.

    verify: those of `verify`, each of which is to be there; list: of `list`;
    restore: of each point; reader: has the second reader to find fault, if
    not as `verify` does? gone: points that `list` cannot show; harmless:
    `verify` says that no point is hurt; repair: the status of `repair`, 3
    where points are hurt.
    """

    def __init__(self, hurt, verify=(), restore=(OK, OK, OK), listed=(),
                 gone=(), reader=None, harmless=False, repair=None):
        self.hurt, self.verify, self.restore = hurt, verify, restore
        self.listed, self.gone, self.harmless = listed, gone, harmless
        self.reader = bool(verify) if reader is None else reader
        self.repair = repair
        if repair is None:
            hurt = {i for i in range(3) if restore[i] != OK}
            self.repair = 3 if hurt else 0
        # A point that is gone is told of once.
        self.again = 0 if set(gone) and self.repair == 3 else self.repair


EXHIBITS = {}


def exhibit(**words):
    def add(hurt):
        EXHIBITS[hurt.__name__] = Exhibit(hurt, **words)
        return hurt
    return add


# ---- packs ----

@exhibit()
def nothing(p):
    pass


@exhibit(verify=["DATA1: it is missing"],
         restore=(OK, "DATA1. does not exist|no pack holds the block", OK))
def missing_pack(p):
    p.remove(p.packs[1][0])


@exhibit(verify=["MAP0: it is missing"], restore=("map piece", OK, OK))
def missing_pack_of_maps(p):
    p.remove(p.packs[0][1])


@exhibit(verify=["DATA2: "])
def truncated_pack(p):
    """Only its footer, of which an index has what counts."""
    p.replace(p.packs[2][0], p.load(p.packs[2][0])[:-1])


@exhibit(verify=["DATA2: "], restore=(OK, OK, "DATA2"))
def half_a_pack(p):
    data = p.load(p.packs[2][0])
    p.replace(p.packs[2][0], data[:len(data) // 2])


@exhibit(verify=["DATA2: "], restore=(OK, OK, "DATA2"))
def empty_pack(p):
    p.replace(p.packs[2][0], b"")


@exhibit(verify=["DATA2: "], restore=(OK, OK, "DATA2"))
def pack_of_noise(p):
    p.replace(p.packs[2][0], os.urandom(p.size(p.packs[2][0])))


@exhibit(verify=["DATA2: frame at 48: wrong checksum"],
         restore=(OK, OK, "DATA2"))
def flipped_byte(p):
    p.flip(p.packs[2][0], 60)


@exhibit(verify=["DATA2: .*checksum"])
def flipped_byte_in_a_table(p):
    p.flip(p.packs[2][0], -100)


@exhibit(verify=["DATA1: .*another object", "DATA2: .*another object"],
         restore=(OK, "DATA1", "DATA2"))
def swapped_packs(p):
    p.swap(p.packs[1][0], p.packs[2][0])


@exhibit()
def pack_without_an_index(p):
    p.remove(p.indexes[2])


@exhibit()
def blobs_twice(p):
    p.w.known.clear()
    p.w.backup(p.disks[2])


@exhibit(verify=["DATA2: frame at 48: wrong checksum"], harmless=True)
def blobs_twice_and_one_hurt(p):
    p.w.known.clear()
    p.w.backup(p.disks[2])
    p.flip(p.packs[2][0], 60)


@exhibit(verify=["MAP2: frame at 48: wrong checksum"], harmless=True)
def pieces_of_maps_twice_and_one_hurt(p):
    p.w.known.clear()
    p.w.backup(p.disks[2])
    p.flip(p.packs[2][1], 60)


@exhibit(verify=["DATA0: frame at 48: wrong checksum", "frame at (?!48)"],
         harmless=True)
def blobs_twice_and_both_hurt(p):
    """Each in another frame."""
    before = set(p.keys("packs"))
    p.w.known.clear()
    p.w.backup(p.disks[0])
    p.flip(p.packs[0][0], 60)
    second = max(set(p.keys("packs")) - before, key=p.size)
    size, = struct.unpack(">I", p.load(second)[-48:-44])
    p.flip(second, p.size(second) - 64 - size - 1)


# ---- indexes ----

@exhibit()
def no_index(p):
    shutil.rmtree(p.path("index"))


@exhibit(verify=["INDEX1: .*its checksum is wrong"])
def hurt_index(p):
    p.flip(p.indexes[1], 60)


@exhibit(verify=["INDEX1: .*too short"])
def empty_index(p):
    p.replace(p.indexes[1], b"")


@exhibit(verify=["INDEX0: .*another object", "INDEX1: .*another object"])
def swapped_indexes(p):
    p.swap(p.indexes[0], p.indexes[1])


@exhibit(reader=False)
def stale_index(p):
    """Its packs were rewritten: the same blobs are elsewhere now."""
    p.w.known.clear()
    p.w.backup(p.disks[2])
    for key in p.packs[2]:
        p.remove(key)


# ---- points ----

@exhibit(verify=["POINT1: .*its checksum is wrong"], gone=[1],
         restore=(OK, "its checksum is wrong", OK),
         listed=["POINT1.*its checksum is wrong"])
def hurt_manifest(p):
    p.flip(p.point(1), 70)


@exhibit(verify=["POINT1: .*its checksum is wrong"], gone=[1],
         restore=(OK, "its checksum is wrong", OK),
         listed=["POINT1.*its checksum is wrong"])
def half_a_manifest(p):
    data = p.load(p.point(1))
    p.replace(p.point(1), data[:len(data) // 2])


@exhibit(verify=["POINT1: .*it is too short"], gone=[1],
         restore=(OK, "too short", OK), listed=["POINT1.*too short"])
def empty_manifest(p):
    p.replace(p.point(1), b"")


@exhibit(verify=["POINT0: .*another object", "POINT1: .*another object"],
         gone=[0, 1], restore=("another object", "another object", OK),
         listed=["POINT0.*another object", "POINT1.*another object"])
def swapped_manifests(p):
    p.swap(p.point(0), p.point(1))


# ---- what writers and prunes tell one another ----

def prunes(p):
    """Nobody has to wait for it any more, and all points stay."""
    code, text = p.holdstill("prune", "--undelete-days", "0", "--silence", "1")
    assert code == 0, text


@exhibit(verify=["POINT0: no session", "POINT1: no ", "POINT2: no session"],
         reader=False, harmless=True)
def lost_sessions(p):
    shutil.rmtree(p.path("sessions"))
    for _ in range(3):
        prunes(p)


@exhibit(verify=["sessions/0/1: .*its checksum is wrong"], reader=False,
         harmless=True)
def hurt_session(p):
    p.flip("sessions/0/1", 70)


@exhibit(verify=["epochs/: .*all of 'epochs/' is missing"], reader=False,
         harmless=True)
def lost_epochs(p):
    shutil.rmtree(p.path("epochs"))


@exhibit(verify=["epochs/0: .*its checksum is wrong"], reader=False,
         harmless=True)
def hurt_epoch(p):
    p.flip("epochs/0", 70)


@exhibit(verify=["epochs/1: "], reader=False, harmless=True)
def rubbish_for_an_epoch(p):
    p.replace("epochs/1", b"rubbish")


@exhibit(verify=["no readable pack .*hurts point POINT1 disk vda"],
         restore=(OK, "no pack holds map piece 0101", OK))
def root_that_is_nowhere(p):
    p.forge(1, root="01" * 32)


@exhibit(verify=["no readable pack .*hurts point POINT1 disk vda"], restore=(OK, "no pack holds map piece", OK))
def root_that_is_a_block(p):
    """What a guest wrote to its disk is never taken for a map."""
    block = b"HSM1".ljust(hs.BLOCK, b"\0")
    p.w.pack([(hs.DATA, block)])
    p.w.index()
    p.forge(1, root=p.w.name(block).hex())


@exhibit(verify=["MAP1: .*not of level 1; hurts point POINT1 disk vda"],
         restore=(OK, "not of level 1", OK))
def disk_larger_than_its_map(p):
    p.forge(1, size_bytes=65 * hs.BLOCK)


@exhibit(verify=["POINT1.*disk is too large"], gone=[1],
         restore=(OK, "disk is too large", OK),
         listed=["POINT1.*disk is too large"])
def disk_larger_than_any(p):
    p.forge(1, size_bytes=(1 << 62) + 1)


@exhibit(verify=["POINT1.*'kind' has an unknown value"], gone=[1],
         restore=(OK, "unknown value", OK), listed=["POINT1.*unknown value"])
def unknown_kind(p):
    p.forge(1, kind="half")


@exhibit(verify=["POINT1: .*another point's id"], gone=[1],
         restore=(OK, "another point's id", OK),
         listed=["POINT1.*another point's id"])
def manifest_of_another_point(p):
    m = hsread.Repository(p.repo).point(p.point(0))[0]
    p.remove(p.point(1))
    m_text = hs.json.dumps(m).encode()
    p.w.put_sealed(hs.POINT, m_text, bytes.fromhex(p.points[1]))


@exhibit(verify=["POINT1: .*JSON"], gone=[1], restore=(OK, "JSON", OK),
         listed=["POINT1.*JSON"])
def manifest_of_noise(p):
    p.remove(p.point(1))
    p.w.put_sealed(hs.POINT, os.urandom(900), bytes.fromhex(p.points[1]))


@exhibit(verify=["POINT1: .*it was made by a later program"], gone=[1],
         restore=(OK, "made by a later program", OK),
         listed=["POINT1.*made by a later program"],
         repair=1)
def later_manifest(p):
    data = bytearray(p.load(p.point(1)))
    data[9] = 2
    data[-32:] = hs.hashlib.sha256(data[:-32]).digest()
    p.replace(p.point(1), bytes(data))


# ---- what else lies there ----

@exhibit()
def foreign_files(p):
    for key in ("README", "lost+found/x", "packs/README", "packs/00/x.pack",
                "packs/00/" + "1" * 32, "points/.nfs0001", "points/NOTES",
                "index/" + "A" * 32, "points/sub/" + "0" * 32):
        p.replace(key, b"not ours")


@exhibit()
def half_written_files(p):
    """What puts of dead processes left in tmp/, whole packs among them."""
    pack = p.load(p.packs[0][0])
    for i, data in enumerate((b"", pack[:1000], pack)):
        p.replace("tmp/%032x" % i, data)


class Case(unittest.TestCase):
    """One repository is made for all, with the local index of good days."""

    made, mode = None, "none"

    @classmethod
    def setUpClass(cls):
        cls.top = tempfile.mkdtemp(prefix="holdstill-museum-")
        # Other than tearDownClass it is called if what follows fails.
        cls.addClassCleanup(shutil.rmtree, cls.top)
        cls.made = Place(os.path.join(cls.top, "made"), cls.mode)
        code, text = cls.made.holdstill("verify")
        assert code == 0, text

    def setUp(self):
        self.p = p = copy.copy(self.made)
        p.w = copy.copy(p.w)
        p.w.known, p.w.indexed = set(p.w.known), list(p.w.indexed)
        p.move(os.path.join(self.top, self.id()))
        self.addCleanup(shutil.rmtree, p.folder, ignore_errors=True)
        shutil.copytree(self.made.folder, p.folder)


class Museum(Case):
    def words(self, text):
        """DATA1: the pack of data of point 1, and so on."""
        for i in range(3):
            for name, key in (("DATA", self.p.packs[i][0]),
                              ("MAP", self.p.packs[i][1]),
                              ("INDEX", self.p.indexes[i]),
                              ("POINT", self.p.points[i][:8] +
                               "[0-9a-f]*")):
                text = text.replace(name + str(i), key)
        return text

    def heard(self, wanted, text):
        for words in filter(None, wanted):
            self.assertRegex(text, self.words(words))

    def visit(self, name):
        show, p = EXHIBITS[name], self.p
        show.hurt(p)
        self.restore_all(show)
        self.look(show)
        shutil.rmtree(p.state)
        os.mkdir(p.state)
        self.restore_all(show)
        found = []
        hsread.Repository(p.repo).check(lambda key, e: found.append(key))
        self.assertEqual(bool(found), show.reader, found)
        self.mend(show)

    def mend(self, show):
        """A repair takes from no point what it has; a second finds no more."""
        for status in show.repair, show.again:
            code, text = self.p.holdstill("repair")
            self.assertEqual(code, status, text)
            for i in show.gone if status == 3 else ():
                self.assertIn("lost: point %s" % self.p.points[i], text)
            self.restore_what_there_is(show)
        if not show.reader and show.harmless:
            prunes(self.p)
            self.restore_all(show)

    def restore_what_there_is(self, show):
        for i, words in enumerate(show.restore):
            self.restore(i, OK, words != OK)

    def look(self, show):
        p = self.p
        code, text = p.holdstill("verify")
        self.assertEqual(code == 0, not show.verify, text)
        self.heard(show.verify, text)
        if show.harmless:
            self.assertNotIn("hurts", text)
            self.assertIn(", 0 points hurt", text)
        self.assertEqual("no damage" in text, not show.verify, text)
        _, text = p.holdstill("list")
        self.heard(show.listed, text)
        rows = re.findall(r"^vm +([0-9a-f]{8})", text, re.M)
        for i, point in enumerate(p.points):
            self.assertEqual(point[:8] in rows, i not in show.gone, text)

    def restore_all(self, show):
        for i, words in enumerate(show.restore):
            self.restore(i, words)

    def restore(self, i, words, either=False):
        """Right bytes or an error, never wrong bytes."""
        p, out = self.p, os.path.join(self.p.folder, "out.raw")
        code, text = p.holdstill("restore", p.points[i], "--disk",
                                 "vda=" + out)
        if not either:
            self.assertEqual(code == 0, words == OK, text)
            self.heard([words], text)
        if code == 0:
            with open(out, "rb") as f:
                self.assertTrue(f.read() == p.disks[i]["vda"], i)
        if os.path.exists(out):
            os.unlink(out)


def add_visits():
    for name in EXHIBITS:
        setattr(Museum, "test_" + name,
                lambda self, name=name: self.visit(name))


class ByDomain(Case):
    """A name by domain means no older point while it may be another one."""

    def refused(self, words, *command):
        code, text = self.p.holdstill(*command)
        self.assertEqual(code, 1, text)
        self.assertRegex(text, words)
        return text

    def test_newest_unreadable(self):
        p = self.p
        p.forge(1, time="2026-02-02T03:04:05Z")
        shutil.rmtree(p.state)
        p.flip(p.point(1), 70)
        out = "vda=" + os.path.join(p.folder, "out.raw")
        words = "%s cannot be read" % p.points[1][:12]
        for command in (("restore", "vm@latest", "--disk", out),
                        ("show", "vm@latest"), ("verify", "vm@-1"),
                        ("forget", "vm@2026-03-01")):
            text = self.refused(words, *command)
        self.assertFalse(os.path.exists(out[4:]))
        named = re.search("it is ([0-9a-f]{12}):", text).group(1)
        code, text = p.holdstill("restore", named, "--disk", out)
        self.assertEqual(code, 0, text)
        code, text = p.holdstill("repair")
        self.assertEqual(code, 3, text)
        self.assertIn("lost: point " + p.points[1], text)
        code, text = p.holdstill("show", "vm@latest")
        self.assertEqual(code, 0, text)

    def test_forgotten(self):
        p = self.p
        self.assertEqual(p.holdstill("forget", p.points[1])[0], 0)
        text = self.refused("was forgotten", "show", p.points[1])
        self.assertIn("unforget", text)


class Refusing(Case):
    def refused(self, hurt, words):
        p = self.p
        hurt(p)
        for command in ("list",), ("verify",), ("restore", p.points[0],
                                                "--to", p.folder):
            code, text = p.holdstill(*command)
            self.assertNotEqual(code, 0)
            self.assertRegex(text, words)


class Config(Refusing):
    """Without settings there is no repository: nothing can be opened."""

    def test_missing(self):
        self.refused(lambda p: p.remove("config"),
                     "its object .config. is missing")

    def test_empty(self):
        self.refused(lambda p: p.replace("config", b""),
                     "object 'config': it is too short")

    def test_half(self):
        self.refused(lambda p: p.replace("config", p.load("config")[:90]),
                     "object 'config': its checksum is wrong")

    def test_flipped(self):
        self.refused(lambda p: p.flip("config", 60),
                     "object 'config': its checksum is wrong")

    def test_of_another_place(self):
        self.refused(lambda p: p.replace("config", p.load(p.point(0))),
                     "object 'config': it is of type 3 instead of 1")

    def test_of_a_later_program(self):
        def later(p):
            p.remove("config")
            p.w.put(hs.CONFIG, p.w.id, hs.json.dumps({
                "format": "holdstill repository", "version": 2,
                "id": p.w.id.hex(), "block_bytes": hs.BLOCK}).encode())
        self.refused(later, "format version 2 ")


class SealedConfig(Refusing):
    """Settings that somebody who has no key has changed, well wrapped."""

    mode = "secret"

    def changed(self, **changes):
        def change(p):
            settings = hsread.Repository(p.repo, ("file", SECRET)).config
            for name, value in changes.items():
                place = settings["encryption"] if name == "cipher" else settings
                place[name] = value
            p.remove("config")
            p.w.put(hs.CONFIG, p.w.id, hs.json.dumps(settings).encode())
        self.refused(change, "object 'config' was tampered with")
        with self.assertRaisesRegex(hs.Damage, "somebody changed it"):
            hsread.Repository(self.p.repo, ("file", SECRET))

    def test_cipher(self):
        self.changed(cipher="chacha20-poly1305")

    def test_no_days_to_undelete(self):
        self.changed(undelete_days=0)

    def test_days_of_the_default(self):
        self.changed(undelete_days=7)

    def test_compression(self):
        self.changed(compression="none")


class Leftovers(unittest.TestCase):
    def test_a_museum_that_cannot_open_leaves_nothing(self):
        with tempfile.TemporaryDirectory(prefix="holdstill-museum-") as top:
            done = subprocess.run(
                [sys.executable, "-B", __file__, "/bin/false", "Config"],
                env={**os.environ, "TMPDIR": top}, check=False,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.assertNotEqual(done.returncode, 0)
            self.assertEqual(os.listdir(top), [])


if __name__ == "__main__":
    program = os.path.abspath(sys.argv.pop(1))
    add_visits()
    unittest.main()
