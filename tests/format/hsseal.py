# SPDX-License-Identifier: Apache-2.0
"""Sealed repositories as docs/seal.md has them: slots, keys, names, chains.

Written from that page alone, as hsformat.py is.
"""

import hashlib
import hmac
import re
import struct

import argon2.low_level
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519
from cryptography.hazmat.primitives.ciphers.aead import (
    AESGCM, ChaCha20Poly1305)

import hsformat as hs

TAG = 16
TRAILER = struct.Struct(">16sQ32s")
CHAIN_MAX = 1 << 20
OWNER = bytes(16)  # The host in the mark of who has the master key.
CIPHERS = {"aes-256-gcm": AESGCM, "chacha20-poly1305": ChaCha20Poly1305}
BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class WrongKey(Exception):
    """No slot opens with what was given."""


def mac(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def hkdf(key, salt, info):
    """RFC 5869 for 32 bytes: one block."""
    return mac(mac(salt or bytes(32), key), info + b"\x01")


def public_half(private):
    return private.public_key().public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def object_info(type_, ident):
    return b"holdstill object" + bytes([type_]) + ident


def associated(name, bound):
    return name.encode() + b"\0" + bound


class Keys:
    """What the master key opens."""

    def __init__(self, master, config):
        e = config["encryption"]
        self.repository = bytes.fromhex(config["id"])
        self.mode, self.master = e["mode"], master
        self.flags = hs.SEALED | (
            hs.TO_PUBLIC if self.mode == "public" else 0)
        self.aead = CIPHERS[e["cipher"]]
        self.names = hkdf(master, b"", b"holdstill names")
        self.private = x25519.X25519PrivateKey.from_private_bytes(
            hkdf(master, b"", b"holdstill x25519"))
        self.public = public_half(self.private)
        self.signer = ed25519.Ed25519PrivateKey.from_private_bytes(
            hkdf(master, b"", b"holdstill ed25519"))
        self.chains = {}

    def check(self, config):
        """Of all settings, said or not."""
        e = config["encryption"]
        return mac(hkdf(self.master, b"", b"holdstill config"),
                   self.repository + e["mode"].encode() + b"\0" +
                   e["cipher"].encode() + b"\0" +
                   struct.pack(">I", config["block_bytes"]) +
                   config.get("compression", "zstd:1").encode() + b"\0" +
                   struct.pack(">I", config.get("undelete_days", 7))).hex()

    def name(self, sha):
        return mac(self.names, sha)

    def object_key(self, head, salt):
        info = object_info(head.type, head.id)
        if not head.flags & hs.TO_PUBLIC:
            return hkdf(self.master, salt, info)
        try:
            shared = self.private.exchange(
                x25519.X25519PublicKey.from_public_bytes(salt))
        except ValueError as error:  # A point of low order.
            raise hs.Damage("no public key of X25519") from error
        return hkdf(shared, salt, info + self.public)

    def open(self, key, at, name, bound, data):
        """The plain bytes of the message that begins at `at` of `name`."""
        try:
            return self.aead(key).decrypt(
                struct.pack(">IQ", 0, at), data, associated(name, bound))
        except (InvalidTag, ValueError) as error:
            raise hs.Damage("sealed bytes at %d were changed" % at) from error

    def sign(self, name, data):
        """What an epoch and its like end with, before the SHA-256."""
        return self.signer.sign(name.encode() + b"\0" + data)

    def first_chain_key(self, host):
        return hkdf(self.master, host, b"holdstill host")

    def chain_mac(self, host, n, data):
        hs.need(n < CHAIN_MAX, "number of the host's chain:", n)
        keys = self.chains.setdefault(host, [self.first_chain_key(host)])
        while len(keys) <= n:
            keys.append(hkdf(keys[-1], b"", b"holdstill next"))
        return mac(hkdf(keys[n], b"", b"holdstill mac"), data)

    def chain(self, data):
        """(host, n) of a manifest to the public key; its MAC is right."""
        host, n, got = TRAILER.unpack(data[-32 - TRAILER.size:-32])
        hs.need(hmac.compare_digest(
            self.chain_mac(host, n, data[:-64]), got),
                "not made by the host it names")
        return host, n


SLOT = {"kind": ("passphrase", "file", "recovery"), "label": str,
        "created": str, "repository": hs.HEX[16], "salt": hs.HEX[32],
        "proof": hs.HEX[32], "wrapped": re.compile("[0-9a-f]{96}")}
ARGON2 = {"memory_kib": int, "passes": int, "lanes": int}


def slot_keys(slot, secret):
    """(proof, key that wraps): secret is the passphrase, or the 32 bytes."""
    salt = bytes.fromhex(slot["salt"])
    if slot["kind"] == "passphrase":
        hs.need(slot["memory_kib"] <= 4 << 20 and slot["passes"] <= 64 and
                slot["lanes"] <= 16, "costs of the slot are too high")
        hs.need(slot["lanes"] > 0 and slot["passes"] > 0 and
                slot["memory_kib"] >= 8 * slot["lanes"],
                "costs of the slot are too low")
        secret = argon2.low_level.hash_secret_raw(
            secret, salt, slot["passes"], slot["memory_kib"], slot["lanes"],
            32, argon2.low_level.Type.ID, 0x13)
    return (hkdf(secret, salt, b"holdstill slot proof"),
            hkdf(secret, salt, b"holdstill slot"))


def slot_associated(repository, slot_id, kind):
    return b"holdstill slot" + repository + slot_id + kind.encode()


def unwrap(slot, slot_id, repository, secret):
    """The master key, or None if the secret is not this slot's."""
    proof, key = slot_keys(slot, secret)
    if not hmac.compare_digest(proof.hex(), slot["proof"]):
        return None
    try:
        return AESGCM(key).decrypt(
            bytes(12), bytes.fromhex(slot["wrapped"]),
            slot_associated(repository, slot_id, slot["kind"]))
    except InvalidTag as e:
        raise hs.Damage("the slot was tampered with") from e


def parse_slot(body):
    slot = hs.parse_json(body)
    hs.members(slot, SLOT)
    if slot["kind"] == "passphrase":
        hs.members(slot, ARGON2)
    return slot


def read_key_file(text):
    word, _, digits = text.strip().partition(" ")
    if word != "holdstill-key-1" or not hs.HEX[32].fullmatch(digits):
        raise WrongKey("this is no key file")
    return bytes.fromhex(digits)


def read_recovery_key(text):
    text = text.upper().replace("-", "")
    text = "".join(text.split())
    text = text.translate(str.maketrans("OIL", "011"))
    if len(text) != 56 or set(text) - set(BASE32):
        raise WrongKey("this is no recovery key")
    value = 0
    for c in text:
        value = value << 5 | BASE32.index(c)
    data = value.to_bytes(35, "big")
    if hashlib.sha256(data[:32]).digest()[:3] != data[32:]:
        raise WrongKey("the recovery key has a slip of the pen")
    return data[:32]


def write_recovery_key(secret):
    data = secret + hashlib.sha256(secret).digest()[:3]
    value = int.from_bytes(data, "big")
    text = "".join(BASE32[value >> i & 31] for i in range(275, -1, -5))
    return "-".join(text[i:i + 4] for i in range(0, 56, 4))
