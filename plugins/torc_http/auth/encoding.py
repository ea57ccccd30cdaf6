"""How what is signed becomes bytes: every field with its length before it, so that none runs into the next."""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

LONGEST = 512
"""Characters of a text that is decoded here; no key, nonce or proof has more."""

_ALPHABET = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")

Field = bytes | str | int


def packed(*fields: Field) -> bytes:
    """Fields one after the other, each behind its length in four bytes; numbers as their decimal digits."""
    parts = []
    for field in fields:
        raw = field if isinstance(field, bytes) else str(field).encode("utf-8", "surrogateescape")
        parts += [len(raw).to_bytes(4), raw]
    return b"".join(parts)


def mac(key: bytes, *fields: Field) -> bytes:
    """HMAC-SHA256 over packed fields."""
    return hmac.digest(key, packed(*fields), "sha256")


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
