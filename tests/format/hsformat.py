# SPDX-License-Identifier: Apache-2.0
"""The repository format as docs/format.md has it: heads, tables, pieces.

Written from that page alone, so that a fault of the page or of store/ shows
when the two meet. Nothing here knows of keys: hsseal.py is docs/seal.md.
"""

import collections
import hashlib
import json
import re
import struct

import zstandard

BLOCK = 65536
OBJECT_MAX = 256 << 20
FRAME_RAW_MAX = 1 << 20
PACK_BLOBS_MAX = 16384
INDEX_PACKS_MAX = 64
FANOUT = 64
PIECE = 8 + FANOUT * 32
ZERO = bytes(32)
SEALED, TO_PUBLIC, SIGNED, MARKED = 1, 2, 4, 8  # Flags.
SALT = 32                   # Behind the head of what is sealed.

DATA, MAP = 1, 2
CONFIG, INDEX, POINT, PACK, KEY, EPOCH, SESSION = 1, 2, 3, 5, 6, 7, 9
TOMBSTONE = 12  # In a point's place: it will never be (prune.md).

HEAD = struct.Struct(">8sBBHB3s16sQQ")
FRAME = struct.Struct(">QIIIB3sQ")
BLOB = struct.Struct(">B3sII32s")
FOOTER = struct.Struct(">8sQIIB7s32s")

Head = collections.namedtuple("Head", "type flags coding id stored raw bytes")
Frame = collections.namedtuple("Frame", "at stored raw blobs coding xxh64")
Blob = collections.namedtuple("Blob", "type at size name frame")


class Damage(Exception):
    """The object is not what the format says."""


class Later(Exception):
    """Made by a later program; nothing is known about the object."""


def need(true, *words):
    if not true:
        raise Damage(" ".join(str(w) for w in words))


def key_of(type_, ident):
    ident = ident.hex()
    return {CONFIG: "config", INDEX: "index/" + ident,
            POINT: "points/" + ident,
            PACK: "packs/%s/%s" % (ident[:2], ident),
            KEY: "keys/" + ident}[type_]


def parse_key(key):
    """(type, id) of a key, id None for `config`; None if it is foreign."""
    if key == "config":
        return CONFIG, None
    m = re.fullmatch(r"(index|points|keys|packs/(..))/([0-9a-f]{32})",
                     key)
    if not m or m[2] is not None and not m[3].startswith(m[2]):
        return None
    type_ = {"index": INDEX, "points": POINT, "keys": KEY}
    return type_.get(m[1], PACK), bytes.fromhex(m[3])


_P = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9,
      0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)
_M = (1 << 64) - 1


def _rotate(x, n):
    return (x << n | x >> (64 - n)) & _M


def _round(acc, lane):
    return _rotate((acc + lane * _P[1]) & _M, 31) * _P[0] & _M


def xxh64(data):
    """XXH64 with seed 0, as in its published description."""
    n, at = len(data), 0
    acc = _P[4]
    if n >= 32:
        a, b, c, d = (_P[0] + _P[1]) & _M, _P[1], 0, -_P[0] & _M
        at = n - n % 32
        for w, x, y, z in struct.iter_unpack("<4Q", data[:at]):
            a, b, c, d = (_round(a, w), _round(b, x), _round(c, y),
                          _round(d, z))
        acc = _rotate(a, 1) + _rotate(b, 7) + _rotate(c, 12) + _rotate(d, 18)
        for lane in a, b, c, d:
            acc = ((acc ^ _round(0, lane)) * _P[0] + _P[3]) & _M
    acc = (acc + n) & _M
    while at + 8 <= n:
        lane, = struct.unpack_from("<Q", data, at)
        acc = (_rotate(acc ^ _round(0, lane), 27) * _P[0] + _P[3]) & _M
        at += 8
    if at + 4 <= n:
        lane, = struct.unpack_from("<I", data, at)
        acc ^= lane * _P[0] & _M
        acc = (_rotate(acc, 23) * _P[1] + _P[2]) & _M
        at += 4
    for byte in data[at:]:
        acc = _rotate(acc ^ byte * _P[4] & _M, 11) * _P[0] & _M
    acc = (acc ^ acc >> 33) * _P[1] & _M
    acc = (acc ^ acc >> 29) * _P[2] & _M
    return acc ^ acc >> 32


def expand(stored, coding, raw):
    """The bytes before compression: exactly raw, from one zstd frame."""
    need(coding in (0, 1), "unknown coding", coding)
    if coding == 0:
        need(len(stored) == raw, "size is not", raw)
        return stored
    z = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
    out = bytearray()
    try:
        for at in range(0, len(stored), 1024):
            need(not z.eof, "bytes after the zstd frame")
            out += z.decompress(stored[at:at + 1024])
            need(len(out) <= raw, "expands to more than", raw)
    except zstandard.ZstdError as e:
        raise Damage("zstd: %s" % e) from e
    need(z.eof and not z.unused_data, "not one zstd frame")
    need(len(out) == raw, "expands to", len(out), "instead of", raw)
    return bytes(out)


def parse_head(data, key):
    """The head of the object, held against its key."""
    type_, ident = parse_key(key)
    magic, got, version, flags, coding, _, own, stored, raw = HEAD.unpack(
        data[:HEAD.size])
    need(magic == b"HOLDSTIL", "no object of holdstill")
    if version != 1 or flags & ~(SEALED | TO_PUBLIC | SIGNED | MARKED):
        raise Later("made by a later program (version %d, flags %#x)" % (
            version, flags))
    need(flags in (0, 1, 3, 4, 11), "flags", flags)
    need(got == type_ or (got, type_) == (TOMBSTONE, POINT),
         "type", got, "under the key of type", type_)
    need(ident in (None, own), "another object's id:", own.hex())
    need(coding in (0, 1), "unknown coding", coding)
    return Head(got, flags, coding, own, stored, raw, data[:HEAD.size])


def begin(head):
    """Where the body begins."""
    return HEAD.size + (SALT if head.flags & SEALED else 0)


def parse_object(data, key, trailer=0):
    """(head, body as stored) of an object that is no pack.

    trailer: size of what a sealed manifest has after its body.
    """
    need(HEAD.size + 32 <= len(data) <= OBJECT_MAX, "size", len(data))
    need(hashlib.sha256(data[:-32]).digest() == data[-32:], "SHA-256 differs")
    head = parse_head(data, key)
    at = begin(head)
    need(head.stored == len(data) - at - trailer - 32, "size in the head")
    need(head.raw <= OBJECT_MAX, "size before compression")
    need(head.coding == 0 or head.type in (INDEX, POINT),
         "is not to be compressed")
    return head, data[at:at + head.stored]


def parse_footer(read, size, key):
    """(head, S, footer, stored table) of a pack; read(at, size) gives bytes.

    The table is proved by the footer's SHA-256, not yet understood.
    """
    need(HEAD.size + FOOTER.size <= size <= OBJECT_MAX, "size", size)
    raw_head, raw = read(0, HEAD.size), read(size - FOOTER.size, FOOTER.size)
    magic, at, stored, table_raw, coding, _, sha = FOOTER.unpack(raw)
    need(magic == b"HSPACKED", "no pack's footer")
    need(at >= HEAD.size and at + stored == size - FOOTER.size,
         "the table's place")
    table = read(at, stored)
    salt = b""
    if struct.unpack_from(">H", raw_head, 10)[0] & SEALED:
        salt = read(HEAD.size, SALT)
    need(hashlib.sha256(raw_head + salt + table + raw[:32]).digest() == sha,
         "SHA-256 of head, table and footer differs")
    head = parse_head(raw_head, key)
    need(head.coding == 0 and head.stored == head.raw == at - begin(head),
         "sizes in the head")
    return head, salt, (raw[:32], coding, table_raw, at), table


def parse_table(data, overhead=0, first=HEAD.size):
    """Frames and blobs of a table. overhead: the tag of a sealed frame."""
    need(len(data) >= 8, "table too short")
    n, m = struct.unpack_from(">II", data)
    need(m <= PACK_BLOBS_MAX and n <= m, "numbers of the table")
    need(len(data) == 8 + n * FRAME.size + m * BLOB.size, "the table's size")
    frames, blobs, at = [], [], first
    for i in range(n):
        f = FRAME.unpack_from(data, 8 + i * FRAME.size)
        f = Frame(f[0], f[1], f[2], f[3], f[4], f[6])
        need(f.at == at and f.stored > overhead, "the frame's place")
        need(0 < f.raw <= FRAME_RAW_MAX and f.coding in (0, 1) and
             (f.coding or f.stored == f.raw + overhead) and f.blobs > 0,
             "the frame's entry")
        frames.append(f)
        at += f.stored
        filled = 0
        for j in range(len(blobs), len(blobs) + f.blobs):
            need(j < m, "more blobs in frames than there are")
            b = BLOB.unpack_from(data, 8 + n * FRAME.size + j * BLOB.size)
            need(b[0] in (DATA, MAP), "unknown type of blob", b[0])
            need(b[3] == (BLOCK if b[0] == DATA else PIECE), "blob's size")
            need(b[2] == filled, "the blob's place")
            filled += b[3]
            blobs.append(Blob(b[0], b[2], b[3], b[4], i))
        need(filled == f.raw, "blobs do not fill their frame")
    need(len(blobs) == m, "blobs without a frame")
    return frames, blobs


def parse_index(body):
    """[(pack's id, size, frames, blobs as bytes)]; tables are not parsed."""
    packs, at = [], 4
    need(len(body) >= 4, "index too short")
    count, = struct.unpack_from(">I", body)
    need(count <= INDEX_PACKS_MAX, "packs of an index:", count)
    for _ in range(count):
        need(at + 28 <= len(body), "index too short")
        ident, size, table = struct.unpack_from(">16sQI", body, at)
        need(at + 28 + table <= len(body), "index too short")
        packs.append((ident, size, body[at + 28:at + 28 + table]))
        at += 28 + table
    need(at == len(body), "bytes after the index")
    return packs


def parse_piece(data, level):
    need(len(data) == PIECE and data[:4] == b"HSM1", "no map piece")
    need(data[4] == level, "map piece of level", data[4], "for", level)
    return [data[8 + i * 32:40 + i * 32] for i in range(FANOUT)]


def blocks_of(size):
    need(size <= 1 << 62, "disk too large")
    return -(-size // BLOCK)


def root_level(blocks):
    level = 0
    while FANOUT ** (level + 1) < blocks:
        level += 1
    return level


def parse_json(body):
    def once(pairs):
        out = dict(pairs)
        need(len(out) == len(pairs), "a member twice")
        return out
    try:
        out = json.loads(body.decode("utf-8"), object_pairs_hook=once)
    except (ValueError, RecursionError) as e:
        raise Damage("JSON: %s" % e) from e
    need(isinstance(out, dict), "no JSON object")
    return out


HEX = {16: re.compile("[0-9a-f]{32}"), 32: re.compile("[0-9a-f]{64}")}


def _value(value, want, what):
    if want in (int, str, bool, dict, list):
        need(type(value) is want, what, "is not of its type")
        if want is int:
            low = -1 << 63 if what.endswith("_ms") else 0
            need(low <= value < 1 << 63, what, "is out of range")
    elif isinstance(want, tuple):
        need(value in want, "unknown", what, repr(value))
    elif isinstance(want, dict):
        members(value, want, what)
    elif isinstance(want, list):
        need(type(value) is list, what, "is not of its type")
        for v in value:
            _value(v, want[0], what)
    else:
        need(type(value) is str and want.fullmatch(value), what, "is no hash")


def members(obj, wanted, what=""):
    """Checks the members that are known; a name with ? may be missing."""
    need(type(obj) is dict, what, "is no object")
    for name, want in wanted.items():
        if name.rstrip("?") in obj:
            _value(obj[name.rstrip("?")], want, (what + "." + name).strip(".?"))
        else:
            need(name.endswith("?"), what, "lacks", name)


_FREEZE = {
    "held_ms": int, "begin_ns": int, "end_ns": int, "thaw_ns": int,
    "proved": bool, "source": ("none", "holdstill", "qemu-ga"),
    "filesystems": [{"mount_point": str, "type": str, "disk": str,
                     "state": str, "reason": str}],
    "writers": [{"name": str, "state": str, "reason": str, "required": bool,
                 "meta": dict}]}
_DISK = {
    "target": str, "format": str, "path": str, "reason": str,
    "source": ("full", "bitmap", "rbd-diff", "compare"), "size_bytes": int,
    "changed_bytes": int, "read_bytes": int, "new_bytes": int,
    "stored_bytes": int, "root": HEX[32]}
_GROUP = {"id": HEX[16], "consistent": bool, "reason": str,
          "spread_ms": int, "members": [{"id": HEX[16], "domain": str}]}
_POINT = {
    "id": HEX[16], "parent": re.compile("|[0-9a-f]{32}"), "domain": str,
    "uuid": str, "host": str, "time": str, "time_ms": int,
    "duration_ms": int, "kind": ("full", "incremental"),
    "consistency": ("crash", "filesystem", "application"),
    "consistency_reason": str, "freeze": _FREEZE, "disks": [_DISK],
    "checkpoint": str, "definition": str, "group?": _GROUP}


def parse_point(head, body):
    m = parse_json(body)
    members(m, _POINT)
    need(m["id"] == head.id.hex(), "another point's id")
    need(len(m["disks"]) <= 64, "more than 64 disks")
    for disk in m["disks"]:
        blocks_of(disk["size_bytes"])
    return m


def parse_config(head, body):
    m = parse_json(body)
    members(m, {"format": ("holdstill repository",), "version": int})
    if m["version"] != 1:
        raise Later("made by a later program (version %d)" % m["version"])
    members(m, {"id": HEX[16], "created": str, "block_bytes": (BLOCK,),
                "compression?": str, "undelete_days?": int,
                "encryption?": {"mode": ("secret", "public"),
                                "cipher": ("aes-256-gcm",
                                           "chacha20-poly1305"),
                                "check": HEX[32]}})
    need(m["id"] == head.id.hex(), "another repository's id")
    return m
