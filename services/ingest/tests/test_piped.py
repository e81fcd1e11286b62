import os
import struct
from collections.abc import Iterator

import pytest

from overt.contracts.pictures import MAX_JPEG_BYTES
from overt.ingest.piped import (
    MAX_MESSAGE_BYTES,
    TOLD,
    Counted,
    Finished,
    Garbled,
    Inlet,
    PipeEnded,
    Sampled,
    Told,
)
from overt.ingest.piped import send as send_whole


class Pipe:
    """Both ends as files: a file that is closed twice leaves alone what has got its number since."""

    def __init__(self) -> None:
        reading_end, writing_end = os.pipe()
        self.out, self.into = os.fdopen(reading_end, "rb", 0), os.fdopen(writing_end, "wb", 0)
        self.inlet = Inlet(reading_end, TOLD)

    def send(self, message: Told) -> None:
        send_whole(self.into.fileno(), message)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    with pipe.out, pipe.into:
        yield pipe


def test_messages_come_out_as_they_went_in(pipe: Pipe) -> None:
    messages: list[Told] = [
        Counted(3, 1, {"corrupt": 2}),
        Sampled(1, 2, 3, 4, 5, 0.006, b"jpeg"),
        Finished("lost", "it went away"),
    ]
    for message in messages:
        pipe.send(message)
    assert [pipe.inlet.take(5) for _ in messages] == messages
    assert pipe.inlet.take(0) is None


def test_a_message_that_comes_byte_by_byte_is_given_once_it_is_whole(pipe: Pipe) -> None:
    pipe.send(Finished("end"))
    content = pipe.out.read(1000)
    for byte in content[:-1]:
        pipe.into.write(bytes([byte]))
        assert pipe.inlet.take(0) is None
    pipe.into.write(content[-1:])
    assert pipe.inlet.take(5) == Finished("end")


def test_the_end_of_the_pipe_is_said_after_what_came_before_it(pipe: Pipe) -> None:
    pipe.send(Finished("end"))
    pipe.into.write(b"\x05")
    pipe.into.close()
    assert pipe.inlet.take(5) == Finished("end")
    with pytest.raises(PipeEnded):
        pipe.inlet.take(5)


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<I", MAX_MESSAGE_BYTES + 1),  # refused before a byte of it is kept
        struct.pack("<I", 3) + b"\x93\x01\x02",
        struct.pack("<I", 0),
    ],
)
def test_nonsense_is_refused(pipe: Pipe, content: bytes) -> None:
    pipe.into.write(content)
    with pytest.raises(Garbled):
        pipe.inlet.take(5)


def test_the_largest_picture_fits_into_a_message(pipe: Pipe) -> None:
    # Longer than a pipe holds: only its length is looked at.
    largest = Sampled(2**63 - 1, 2**63 - 1, 2**63 - 1, 8192, 8192, 0.1, b"")
    pipe.send(largest)
    (length,) = struct.unpack("<I", pipe.out.read(4))
    assert length + 4 + MAX_JPEG_BYTES <= MAX_MESSAGE_BYTES
