"""A camera that speaks just enough RTSP 1.0 (RFC 2326) and RTP over its TCP connection (RFC 6184) to be read."""

import base64
import socket
import struct
import threading
from pathlib import Path

import av

PAYLOAD_TYPE = 96
CLOCK_HZ = 90_000
PERIOD_TICKS = CLOCK_HZ // 25


def access_units(path: Path) -> list[list[bytes]]:
    """Return the NAL units of each picture of a raw H.264 clip."""
    with av.open(str(path)) as container:
        return [
            [unit for unit in bytes(packet).replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if unit]
            for packet in container.demux(video=0)
            if packet.size
        ]


class RtspCamera:
    """Serves one clip again to everybody who asks, then hangs up or falls silent."""

    def __init__(self, clip: Path, *, hangs_up: bool) -> None:
        self._pictures = access_units(clip)
        self._hangs_up = hangs_up
        self._server = socket.create_server(("127.0.0.1", 0))
        self._closed = threading.Event()
        self.requests: list[str] = []
        self.address = f"rtsp://operator:hunter2@127.0.0.1:{self._server.getsockname()[1]}/gate?key=hunter2"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        """Switch it off."""
        self._closed.set()
        with socket.create_connection(self._server.getsockname()):
            pass
        self._thread.join()
        self._server.close()

    def _serve(self) -> None:
        while not self._closed.is_set():
            connection, _ = self._server.accept()
            with connection:
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
        for number, units in enumerate(self._pictures):
            for unit in units:
                marker = 0x80 if unit is units[-1] else 0
                header = struct.pack(
                    ">BBHII", 0x80, marker | PAYLOAD_TYPE, sequence, number * PERIOD_TICKS, 7
                )
                packet = header + unit
                connection.sendall(b"$\0" + struct.pack(">H", len(packet)) + packet)
                sequence += 1
        if not self._hangs_up:
            self._closed.wait()
