"""A camera that speaks just enough RTSP 1.0 (RFC 2326) and RTP over its TCP connection (RFC 6184) to be read."""

import base64
import contextlib
import itertools
import socket
import struct
import threading
from collections.abc import Callable, Container, Iterator
from pathlib import Path
from typing import Literal

import av

PAYLOAD_TYPE = 96
CLOCK_HZ = 90_000
PERIOD_TICKS = CLOCK_HZ // 25
# The length of a packet has two bytes (RFC 2326, 10.12): what is longer goes in fragments.
MOST_BYTES = 60_000
FU_A, FIRST, LAST = 28, 0x80, 0x40


def access_units(path: Path) -> list[list[bytes]]:
    """Return the NAL units of each picture of a raw H.264 clip."""
    with av.open(str(path)) as container:
        return [
            [unit for unit in bytes(packet).replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if unit]
            for packet in container.demux(video=0)
            if packet.size
        ]


Ending = Literal["hangs up", "falls silent", "goes on"]


class RtspCamera:
    """Serves one clip to everybody who asks, from its beginning; `ending` says what comes after it.

    One that `goes on` plays the clip again and again, `rate_hz` pictures a second; the others send it at once.
    `ticks` gives the RTP time of a picture by its number; of the pictures in `spoilt` noise is sent.
    """

    def __init__(
        self,
        clip: Path,
        *,
        ending: Ending,
        port: int = 0,
        rate_hz: float = 25,
        ticks: Callable[[int], int] = lambda number: number * PERIOD_TICKS,
        spoilt: Container[int] = (),
    ) -> None:
        self._pictures = access_units(clip)
        kinds = [[unit[0] & 31 for unit in units] for units in self._pictures]
        # SPS and PPS (H.264, table 7-1): without them nobody can read what follows.
        assert kinds[0][:2] == [7, 8], f"{clip.name} of {clip.stat().st_size} bytes holds {kinds}"
        self._ending = ending
        self._rate_hz = rate_hz
        self._ticks = ticks
        self._spoilt = spoilt
        self._server = socket.create_server(("127.0.0.1", port))
        self._closed = threading.Event()
        self._connections: list[socket.socket] = []
        self.requests: list[str] = []
        self.port = int(self._server.getsockname()[1])
        self.address = f"rtsp://operator:hunter2@127.0.0.1:{self.port}/gate?key=hunter2"
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()

    def close(self) -> None:
        """Switch it off: every connection breaks. Once more does nothing."""
        if self._closed.is_set():
            return
        self._closed.set()
        with socket.create_connection(self._server.getsockname()):
            pass
        self._threads[0].join()
        self._server.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        while not self._closed.is_set():
            connection, _ = self._server.accept()
            self._connections.append(connection)
            self._threads.append(threading.Thread(target=self._answer_all, args=(connection,)))
            self._threads[-1].start()

    def _answer_all(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as lines:
            while not self._closed.is_set():
                request = [line.decode().strip() for line in iter(lines.readline, b"\r\n") if line]
                if not request:
                    return
                self.requests += [line for line in request if not line.startswith("User-Agent")]
                method = request[0].split()[0]
                sequence = next(line for line in request if line.lower().startswith("cseq"))
                connection.sendall(self._response(method, sequence))
                if method == "PLAY":
                    self._play(connection)
                    return

    def _response(self, method: str, sequence: str) -> bytes:
        parameters = ",".join(base64.b64encode(unit).decode() for unit in self._pictures[0][:2])
        description = (
            "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=gate\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
            "a=rtpmap:96 H264/90000\r\na=control:video\r\n"
            f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={parameters}\r\n"
        )
        head, body = [f"RTSP/1.0 200 OK\r\n{sequence}\r\nSession: 1\r\n"], ""
        if method == "DESCRIBE":
            body = description
            head.append(f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n")
        if method == "SETUP":
            head.append("Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n")
        if method == "OPTIONS":
            head.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n")
        return ("".join(head) + "\r\n" + body).encode()

    def _play(self, connection: socket.socket) -> None:
        sequence = 0
        for number in itertools.count():
            if number >= len(self._pictures) and self._ending != "goes on":
                break
            for packet in self._packets(number, sequence):
                connection.sendall(b"$\0" + struct.pack(">H", len(packet)) + packet)
                sequence += 1
            if self._ending == "goes on" and self._closed.wait(1 / self._rate_hz):
                return
        if self._ending == "falls silent":
            while connection.recv(1024):  # until the other side, or `close`, ends it
                pass

    def _packets(self, number: int, sequence: int) -> Iterator[bytes]:
        payloads = [part for unit in self._units(number) for part in fragments(unit)]
        for place, payload in enumerate(payloads):
            marker = 0x80 if place == len(payloads) - 1 else 0
            header = struct.pack(
                ">BBHII",
                0x80,
                marker | PAYLOAD_TYPE,
                (sequence + place) % 2**16,
                self._ticks(number) % 2**32,
                7,
            )
            yield header + payload

    def _units(self, number: int) -> Iterator[bytes]:
        for unit in self._pictures[number % len(self._pictures)]:
            yield unit[:1] + bytes(255 - byte for byte in unit[1:]) if number in self._spoilt else unit


def fragments(unit: bytes) -> Iterator[bytes]:
    """Yield a NAL unit as it is, or in parts if it is too long (RFC 6184, 5.8)."""
    if len(unit) <= MOST_BYTES:
        yield unit
        return
    kind, content = unit[0], unit[1:]
    parts = [content[at : at + MOST_BYTES] for at in range(0, len(content), MOST_BYTES)]
    for number, part in enumerate(parts):
        flags = FIRST * (number == 0) | LAST * (number == len(parts) - 1)
        yield bytes([kind & 0xE0 | FU_A, flags | kind & 0x1F]) + part
