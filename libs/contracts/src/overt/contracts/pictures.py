"""Looks at the outside of a JPEG: whether it is one, and how large it says it is. Nothing is decoded."""

MAX_JPEG_BYTES = 8_000_000
MAX_SEGMENTS = 256
BEGIN = b"\xff\xd8\xff"
END = b"\xff\xd9"
# SOF0 to SOF15 without DHT, JPG and DAC, which share the range (ITU-T T.81, table B.1).
START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xDA)})
START_OF_SCAN = 0xDA


def require_jpeg(picture: bytes, what: str) -> None:
    """Raise ValueError unless `picture` begins and ends like a JPEG and is not oversize."""
    if len(picture) > MAX_JPEG_BYTES:
        raise ValueError(f"{what} picture has {len(picture)} bytes, the limit is {MAX_JPEG_BYTES}")
    if not (picture.startswith(BEGIN) and picture.endswith(END)):
        raise ValueError(f"{what} picture is no JPEG")


def jpeg_size_px(picture: bytes) -> tuple[int, int] | None:
    """Return (width, height) as the frame header says (ITU-T T.81, B.2.2), None if there is none.

    A decoder allocates what the header says, so this is looked at before one is asked.
    """
    at = 2
    for _ in range(MAX_SEGMENTS):
        header = picture[at : at + 9]
        if len(header) < 9 or header[0] != 0xFF or header[1] in WITHOUT_LENGTH or header[1] == START_OF_SCAN:
            return None
        if header[1] in START_OF_FRAME:
            return int.from_bytes(header[7:9], "big"), int.from_bytes(header[5:7], "big")
        at += 2 + int.from_bytes(header[2:4], "big")
    return None
