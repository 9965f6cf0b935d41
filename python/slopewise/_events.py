"""TensorBoard's event files: records of protobuf messages (tensorflow/core/util/event.proto) with masked CRC-32C."""

from __future__ import annotations

import math
import os
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path


def _table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _table()
_LARGEST = (2 - 2**-23) * 2.0**127  # of float32


def crc32c(data: bytes) -> int:
    """Castagnoli's CRC (RFC 3720, section B.4)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


class EventWriter:
    """Scalars by name, appended to a file of its own in `directory`. OSError where that cannot be written."""

    def __init__(self, directory: str | os.PathLike) -> None:
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}.{time.monotonic_ns()}"
        self._file = open(folder / name, "xb")
        self._record(0, _bytes(3, b"brain.Event:2"))

    def add(self, scalars: Mapping[str, float | None], step: int) -> None:
        """One event with the scalars that are numbers, as float32. FloatingPointError, before anything is written, for one
        beyond its range."""
        for name, value in scalars.items():
            if value is not None and math.isfinite(value) and abs(value) > _LARGEST:
                raise FloatingPointError(f"{name} is {value:.4g}, more than an event file holds ({_LARGEST:.4g})")
        values = b"".join(_bytes(1, _bytes(1, name.encode()) + b"\x15" + struct.pack("<f", value))
                          for name, value in scalars.items() if value is not None and name != "step")
        self._record(step, _bytes(5, values))

    def close(self) -> None:
        self._file.close()

    def _record(self, step: int, content: bytes) -> None:
        event = b"\x09" + struct.pack("<d", time.time()) + b"\x10" + _varint(step) + content
        length = struct.pack("<Q", len(event))
        self._file.write(length + _masked(length) + event + _masked(event))
        self._file.flush()
