"""How what is signed becomes bytes: every field with its length before it, so that none runs into the next."""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

LONGEST = 512
"""Characters of a text that is decoded here; no key, nonce or proof has more."""

BLOCK = 64
"""Bytes of a block of SHA-256."""

_ALPHABET = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")

Field = bytes | str | int


def packed(*fields: Field) -> bytes:
    """Fields one after the other, each behind its length in four bytes; numbers as their decimal digits."""
    packed = b""
    for field in fields:
        raw = field if isinstance(field, bytes) else str(field).encode("utf-8", "surrogateescape")
        packed += len(raw).to_bytes(4) + raw
    return packed


def mac(key: bytes, *fields: Field) -> bytes:
    """HMAC-SHA256 over packed fields."""
    return hmac.digest(key, packed(*fields), "sha256")


class Signer:
    """What `mac` does with one key, in a third of the time, for those who do it over and over.

    The two hashes of HMAC (RFC 2104, section 2) begin with a block that only depends on the key: they are kept as they
    stand after it.
    """

    def __init__(self, key: bytes) -> None:
        block = (hashlib.sha256(key).digest() if len(key) > BLOCK else key).ljust(BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def mac(self, *fields: Field) -> bytes:
        """HMAC-SHA256 over packed fields."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(packed(*fields))
        outer.update(inner.digest())
        return outer.digest()


def digest(data: bytes) -> bytes:
    """SHA-256."""
    return hashlib.sha256(data).digest()


def same(one: bytes, other: bytes) -> bool:
    """Whether both are equal, found in a time that tells nothing about where they differ (O5)."""
    return hmac.compare_digest(one, other)


def as_text(data: bytes) -> str:
    """Base64 for addresses and headers, without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def as_bytes(text: str) -> bytes | None:
    """What such a text stands for; None for anything that `as_text` would not write."""
    try:
        raw = text.encode("ascii")
    except UnicodeEncodeError:
        return None
    if not 0 < len(raw) <= LONGEST or not _ALPHABET.issuperset(raw):
        return None
    try:
        data = urlsafe_b64decode(raw + b"=" * (-len(raw) % 4))
    except (binascii.Error, ValueError):
        return None
    return data if as_text(data) == text else None


def as_number(text: str, digits: int = 15) -> int | None:
    """A number of at most so many ASCII digits, written without leading zeros; None for anything else."""
    if not (0 < len(text) <= digits and text.isascii() and text.isdigit()):
        return None
    return int(text) if text == "0" or text[0] != "0" else None
