"""Messages of protocol buffers, written field by field."""

from __future__ import annotations

BYTES = 2  # wire type


def key(tag: int, wire_type: int) -> bytes:
    """Encode the number of a field and its wire type."""
    return varint(tag << 3 | wire_type)


def field(tag: int, data: bytes) -> bytes:
    """Encode a field of bytes, text or a message."""
    return key(tag, BYTES) + varint(len(data)) + data


def number(tag: int, value: int) -> bytes:
    """Encode a field of a whole number >= 0."""
    return key(tag, 0) + varint(value)


def varint(value: int) -> bytes:
    """Encode a whole number >= 0, seven bits a byte, the lowest first."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
