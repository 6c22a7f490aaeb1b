# SPDX-License-Identifier: Apache-2.0
"""Writes small repositories by docs/format.md and docs/seal.md alone.

For tests: what it makes the reader beside it and holdstill itself must read.
It dedups within one repository, and keeps no state but its own.
"""

import hashlib
import json
import os
import struct

import zstandard
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import hsformat as hs
import hsseal

FRAME_BLOBS = 16
COSTS = {"memory_kib": 1024, "passes": 1, "lanes": 1}


def shrink(data):
    """(coding, bytes): zstd where that shrinks it."""
    z = zstandard.ZstdCompressor(level=1).compress(data)
    return (1, z) if len(z) < len(data) else (0, data)


class Writer:
    def __init__(self, folder, mode="none", cipher="aes-256-gcm",
                 registers=True):
        self.registers, self.sessions = registers, 0
        self.folder, self.mode, self.seal = folder, mode, None
        self.known, self.indexed = set(), []
        self.host, self.n = os.urandom(16), 0
        self.id = os.urandom(16)
        config = {"format": "holdstill repository", "version": 1,
                  "id": self.id.hex(), "created": "2026-01-02T03:04:05Z",
                  "block_bytes": hs.BLOCK, "undelete_days": 14}
        if mode != "none":
            config["encryption"] = {"mode": mode, "cipher": cipher}
            self.master = os.urandom(32)
            self.seal = hsseal.Keys(self.master, config)
            config["encryption"]["check"] = self.seal.check(config)
        self.put_epoch()
        self.put(hs.CONFIG, self.id, json.dumps(config).encode())

    def save(self, key, data):
        path = os.path.join(self.folder, *key.split("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "xb") as f:
            f.write(data)
        return key

    def put_epoch(self):
        """The one that a new repository begins with."""
        body = json.dumps({"key": "epochs/0", "epoch": 0, "decided": 0,
                           "roll": ""}).encode()
        if self.mode == "public":
            data = hs.HEAD.pack(b"HOLDSTIL", hs.EPOCH, 1, hs.SIGNED, 0,
                                bytes(3), os.urandom(16), len(body),
                                len(body)) + body
            data += self.seal.sign("epochs/0", data)
            self.save("epochs/0", data + hashlib.sha256(data).digest())
            return
        self.put_small(hs.EPOCH, "epochs/0", body)

    def put_small(self, type_, name, body):
        """Not compressed, under a name that is no id's."""
        head, salt, key = self.head(type_, os.urandom(16), 0,
                                    len(body) + self.tag(), len(body))
        data = head + salt
        data += self.message(key, len(data), name, head, body)
        self.save(name, data + hashlib.sha256(data).digest())

    def put_session(self, point):
        """Somebody at work on a point; hosts say so in the open."""
        name = "sessions/0/%d" % self.sessions
        self.sessions += 1
        body = json.dumps({"key": name, "kind": "session",
                           "tag": os.urandom(6).hex(),
                           "points": [point]}).encode()
        if self.mode == "public":
            self.save(name, self.plain(hs.SESSION, os.urandom(16), body))
        else:
            self.put_small(hs.SESSION, name, body)

    @staticmethod
    def plain(type_, ident, body):
        """An object that is neither sealed nor compressed."""
        data = hs.HEAD.pack(b"HOLDSTIL", type_, 1, 0, 0, bytes(3), ident,
                            len(body), len(body)) + body
        return data + hashlib.sha256(data).digest()

    def put(self, type_, ident, body):
        return self.save(hs.key_of(type_, ident),
                         self.plain(type_, ident, body))

    def head(self, type_, ident, coding, stored, raw):
        """(head, S, key of the object or None)."""
        flags = self.seal.flags if self.seal else 0
        if type_ == hs.POINT and self.mode == "public":
            flags |= hs.MARKED
        data = hs.HEAD.pack(b"HOLDSTIL", type_, 1, flags, coding, bytes(3),
                            ident, stored, raw)
        if not self.seal:
            return data, b"", None
        info = hsseal.object_info(type_, ident)
        if self.mode == "secret":
            salt = os.urandom(hs.SALT)
            return data, salt, hsseal.hkdf(self.master, salt, info)
        own = x25519.X25519PrivateKey.generate()
        salt = hsseal.public_half(own)
        shared = own.exchange(
            x25519.X25519PublicKey.from_public_bytes(self.seal.public))
        return data, salt, hsseal.hkdf(shared, salt,
                                       info + self.seal.public)

    def message(self, key, at, name, bound, data):
        if key is None:
            return data
        return self.seal.aead(key).encrypt(
            struct.pack(">IQ", 0, at), data, hsseal.associated(name, bound))

    def tag(self):
        return hsseal.TAG if self.seal else 0

    def put_sealed(self, type_, body, ident=None, chain=None):
        ident = ident or os.urandom(16)
        coding, stored = shrink(body)
        name = hs.key_of(type_, ident)
        head, salt, key = self.head(type_, ident, coding,
                                    len(stored) + self.tag(), len(body))
        data = head + salt
        data += self.message(key, len(data), name, head, stored)
        if chain:
            data += struct.pack(">16sQ", *chain)
            data += self.seal.chain_mac(*chain, data)
        return self.save(name, data + hashlib.sha256(data).digest())

    def slot(self, kind, secret, label=""):
        slot = {"kind": kind, "label": label, "created": "2026-01-02T03:04:05Z",
                "repository": self.id.hex(), "salt": os.urandom(32).hex()}
        if kind == "passphrase":
            slot.update(COSTS)
        ident = os.urandom(16)
        proof, key = hsseal.slot_keys(slot, secret)
        slot["proof"] = proof.hex()
        slot["wrapped"] = AESGCM(key).encrypt(
            bytes(12), self.master,
            hsseal.slot_associated(self.id, ident, kind)).hex()
        return self.put(hs.KEY, ident, json.dumps(slot).encode())

    def name(self, data):
        sha = hashlib.sha256(data).digest()
        return self.seal.name(sha) if self.seal else sha

    def pack(self, blobs):
        """Puts a pack of [(type, bytes)]; its key."""
        ident = os.urandom(16)
        frames, entries = [], b""
        for at in range(0, len(blobs), FRAME_BLOBS):
            some = blobs[at:at + FRAME_BLOBS]
            raw = b"".join(b for _, b in some)
            frames.append((len(some), len(raw), *shrink(raw)))
            filled = 0
            for type_, b in some:
                entries += hs.BLOB.pack(type_, bytes(3), filled, len(b),
                                        self.name(b))
                filled += len(b)
        total = sum(len(f[3]) + self.tag() for f in frames)
        name = hs.key_of(hs.PACK, ident)
        head, salt, key = self.head(hs.PACK, ident, 0, total, total)
        data, table = head + salt, struct.pack(">II", len(frames), len(blobs))
        for count, raw, coding, stored in frames:
            stored = self.message(key, len(data), name, head[:32], stored)
            table += hs.FRAME.pack(len(data), len(stored), raw, count,
                                   coding, bytes(3), hs.xxh64(stored))
            data += stored
        table += entries
        coding, stored = shrink(table)
        footer = struct.pack(">8sQIIB7s", b"HSPACKED", len(data),
                             len(stored) + self.tag(), len(table), coding,
                             bytes(7))
        stored = self.message(key, len(data), name, head[:32] + footer,
                              stored)
        sha = hashlib.sha256(head + salt + stored + footer).digest()
        data += stored + footer + sha
        self.indexed.append((ident, len(data), table))
        return self.save(name, data)

    def index(self):
        """One index object of all packs since the last one."""
        body = struct.pack(">I", len(self.indexed))
        for ident, size, table in self.indexed:
            body += struct.pack(">16sQI", ident, size, len(table)) + table
        self.indexed = []
        return self.put_sealed(hs.INDEX, body)

    def add(self, blobs, type_, data):
        """The blob's name; it goes to blobs if it is new."""
        name = self.name(data)
        if (type_, name) not in self.known:
            self.known.add((type_, name))
            blobs.append((type_, data))
        return name

    def disk(self, data):
        """Puts what is new of a disk; the root."""
        blobs, pieces = [], []
        names = []
        for at in range(0, len(data), hs.BLOCK):
            block = data[at:at + hs.BLOCK].ljust(hs.BLOCK, b"\0")
            names.append(hs.ZERO if not any(block) else
                         self.add(blobs, hs.DATA, block))
        for level in range(hs.root_level(len(names)) + 1):
            above = []
            for at in range(0, max(len(names), 1), hs.FANOUT):
                entries = b"".join(names[at:at + hs.FANOUT])
                entries = entries.ljust(hs.PIECE - 8, b"\0")
                piece = b"HSM1" + bytes([level, 0, 0, 0]) + entries
                above.append(hs.ZERO if not any(entries) else
                             self.add(pieces, hs.MAP, piece))
            names = above
        for some in blobs, pieces:
            if some:
                self.pack(some)
        return names[0]

    def manifest(self, disks, parent=""):
        """disks: [(target, size, root)]."""
        return {
            "id": os.urandom(16).hex(), "parent": parent, "epoch": 0,
            "domain": "vm",
            "uuid": "", "host": "h", "time": "2026-01-02T03:04:05Z",
            "time_ms": 1767323045000, "duration_ms": 1,
            "kind": "incremental" if parent else "full",
            "consistency": "crash", "consistency_reason": "no agent",
            "freeze": {"held_ms": 0, "begin_ns": 0, "end_ns": 0, "thaw_ns": 0,
                       "proved": False, "source": "none", "filesystems": [],
                       "writers": []},
            "disks": [{"target": t, "format": "raw", "path": "/x",
                       "reason": "", "source": "full", "size_bytes": size,
                       "changed_bytes": 0, "read_bytes": 0, "new_bytes": 0,
                       "stored_bytes": 0, "root": root.hex()}
                      for t, size, root in disks],
            "checkpoint": "", "definition": "<domain/>"}

    def put_point(self, manifest):
        chain = None
        if self.mode == "public":
            chain = self.host, self.n
            self.n += 1
        return self.put_sealed(hs.POINT, json.dumps(manifest).encode(),
                               bytes.fromhex(manifest["id"]), chain)

    def backup(self, disks, parent=""):
        """disks: {target: bytes}. Session, packs, index, manifest; its id."""
        ident = os.urandom(16).hex()
        if self.registers:
            self.put_session(ident)
        roots = [(t, len(d), self.disk(d)) for t, d in disks.items()]
        if self.indexed:
            self.index()
        manifest = dict(self.manifest(roots, parent), id=ident)
        self.put_point(manifest)
        return ident
