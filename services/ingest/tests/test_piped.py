import os
import struct
from collections.abc import Iterator

import pytest

from overt.contracts.pictures import MAX_JPEG_BYTES
from overt.ingest.piped import MAX_MESSAGE_BYTES, TOLD, Counted, Finished, Garbled, Inlet, PipeEnded, Sampled
from overt.ingest.piped import send as send_whole

Pipe = tuple[int, int]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            assert end == ends[1]  # a test closed it


def test_messages_come_out_as_they_went_in(pipe: Pipe) -> None:
    messages = [
        Counted(3, 1, {"corrupt": 2}),
        Sampled(1, 2, 3, 4, 5, 0.006, b"jpeg"),
        Finished("lost", "it went away"),
    ]
    for message in messages:
        send_whole(pipe[1], message)
    inlet = Inlet(pipe[0], TOLD)
    assert [inlet.take(5) for _ in messages] == messages
    assert inlet.take(0) is None


def test_a_message_that_comes_byte_by_byte_is_given_once_it_is_whole(pipe: Pipe) -> None:
    inlet, second = Inlet(pipe[0], TOLD), os.pipe()
    send_whole(second[1], Finished("end"))
    content = os.read(second[0], 1000)
    for byte in content[:-1]:
        os.write(pipe[1], bytes([byte]))
        assert inlet.take(0) is None
    os.write(pipe[1], content[-1:])
    assert inlet.take(5) == Finished("end")
    for end in second:
        os.close(end)


def test_the_end_of_the_pipe_is_said_after_what_came_before_it(pipe: Pipe) -> None:
    send_whole(pipe[1], Finished("end"))
    os.write(pipe[1], b"\x05")
    os.close(pipe[1])
    inlet = Inlet(pipe[0], TOLD)
    assert inlet.take(5) == Finished("end")
    with pytest.raises(PipeEnded):
        inlet.take(5)


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<I", MAX_MESSAGE_BYTES + 1),  # refused before a byte of it is kept
        struct.pack("<I", 3) + b"\x93\x01\x02",
        struct.pack("<I", 0),
    ],
)
def test_nonsense_is_refused(pipe: Pipe, content: bytes) -> None:
    os.write(pipe[1], content)
    with pytest.raises(Garbled):
        Inlet(pipe[0], TOLD).take(5)


def test_the_largest_picture_fits_into_a_message(pipe: Pipe) -> None:
    # Longer than a pipe holds: only its length is looked at.
    largest = Sampled(2**63 - 1, 2**63 - 1, 2**63 - 1, 8192, 8192, 0.1, b"")
    send_whole(pipe[1], largest)
    (length,) = struct.unpack("<I", os.read(pipe[0], 4))
    assert length + 4 + MAX_JPEG_BYTES <= MAX_MESSAGE_BYTES
