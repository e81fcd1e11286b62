"""What goes through the pipes between ingest and the child process that decodes one camera."""

import os
import select
import struct
import time
from typing import Generic, Literal, TypeVar

import msgspec

from overt.contracts.pictures import MAX_JPEG_BYTES
from overt.ingest.source import SourceKind

LENGTH = struct.Struct("<I")
MAX_MESSAGE_BYTES = MAX_JPEG_BYTES + 4096
READ_BYTES = 1 << 16  # what a pipe holds

T = TypeVar("T")


class Job(msgspec.Struct, frozen=True):
    """All that a child is told, once, on its standard input. `address` may hold a password.

    `clock_ahead_ns` is the parent's UNIX time less the machine's monotonic clock: both stamp by one clock.
    """

    kind: SourceKind
    address: str
    shown: str
    live: bool
    loop: bool
    rate_hz: float
    decode_threads: int
    open_timeout_s: float
    read_timeout_s: float
    jpeg_quality: int
    first_sequence: int
    clock_ahead_ns: int

    def __repr__(self) -> str:
        """Name the source as it may be shown."""
        return f"Job({self.shown!r})"


class Sampled(msgspec.Struct, frozen=True, tag=True):
    """One picture on its way out. `sequence` counts the sampled ones, so gaps are drops."""

    sequence: int
    captured_at_ns: int
    read_at_ns: int
    width_px: int
    height_px: int
    encode_s: float
    jpeg: bytes


class Counted(msgspec.Struct, frozen=True, tag=True):
    """What was counted since the last one; `dropped` is by reason."""

    read: int
    sampled_out: int
    dropped: dict[Literal["superseded", "late", "corrupt", "oversize"], int]


class Finished(msgspec.Struct, frozen=True, tag=True):
    """The child's last word. `reason` says what was wrong and holds no credentials; empty at an end."""

    kind: Literal["end", "refused", "lost", "crashed"]
    reason: str = ""


Told = Sampled | Counted | Finished

JOBS: msgspec.msgpack.Decoder[Job] = msgspec.msgpack.Decoder(Job)
TOLD: msgspec.msgpack.Decoder[Told] = msgspec.msgpack.Decoder(Told)


class Garbled(Exception):
    """What came through the pipe is no message."""


class PipeEnded(Exception):
    """The other side closed the pipe, in order or by its death."""


def send(pipe: int, message: msgspec.Struct) -> None:
    """Write one message; waits while the pipe is full. Raises BrokenPipeError."""
    content = msgspec.msgpack.encode(message)
    left = memoryview(LENGTH.pack(len(content)) + content)
    while left:
        left = left[os.write(pipe, left) :]


class Inlet(Generic[T]):
    """Reads messages from one end of a pipe without waiting longer than it is told."""

    def __init__(self, pipe: int, decoder: msgspec.msgpack.Decoder[T]) -> None:
        self._pipe = pipe
        self._decoder = decoder
        self._buffer = bytearray()
        self._ready = select.poll()
        self._ready.register(pipe, select.POLLIN)

    def take(self, timeout_s: float) -> T | None:
        """Return the next message; None when none was whole in time. Raises PipeEnded, Garbled."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            content = self._next()
            if content is not None:
                return self._decode(content)
            if not self._ready.poll(max(0.0, deadline_s - time.monotonic()) * 1000):
                return None
            read = os.read(self._pipe, READ_BYTES)
            if not read:
                raise PipeEnded
            self._buffer += read

    def _next(self) -> bytes | None:
        if len(self._buffer) < LENGTH.size:
            return None
        (length,) = LENGTH.unpack_from(self._buffer)
        if length > MAX_MESSAGE_BYTES:
            raise Garbled
        end = LENGTH.size + length
        if len(self._buffer) < end:
            return None
        content = bytes(self._buffer[LENGTH.size : end])
        del self._buffer[:end]
        return content

    def _decode(self, content: bytes) -> T:
        try:
            return self._decoder.decode(content)
        except msgspec.DecodeError:
            raise Garbled from None
