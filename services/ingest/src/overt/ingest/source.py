"""Tells what a source is by its name: a file, a folder of pictures, a device or an RTSP address."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from overt.ingest.errors import SourceRefused

SourceKind = Literal["file", "folder", "device", "rtsp"]
RTSP_SCHEMES = ("rtsp", "rtsps")


@dataclass(frozen=True, slots=True)
class Source:
    """Where pictures come from. `address` may hold a password and stays out of reprs and logs."""

    kind: SourceKind
    address: str = field(repr=False)
    shown: str

    @property
    def is_endless(self) -> bool:
        """Whether it is a camera rather than a recording."""
        return self.kind in ("device", "rtsp")


def redacted(source: str) -> str:
    """Return `source` without user name, password, query and fragment: those carry credentials."""
    if "://" not in source:
        return source
    try:
        parts = urlsplit(source)
        port = parts.port
    except ValueError:
        return source.split("://", 1)[0] + "://***"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    place = f"{host}:{port}" if port else host
    user = "***@" if parts.username is not None or parts.password is not None else ""
    return f"{parts.scheme}://{user}{place}{parts.path}" + ("?***" if parts.query else "")


def parse_source(source: str) -> Source:
    """Return what `source` names. Raises SourceRefused when it is missing or of no known kind."""
    shown = redacted(source)
    if "://" in source:
        return _parse_address(source, shown)
    if source.startswith("/dev/"):
        if not Path(source).exists():
            raise SourceRefused(f"there is no device {shown}")
        return Source("device", source, shown)
    path = Path(source)
    try:
        source.encode()
        if path.is_dir():
            return Source("folder", source, shown)
        if path.is_file():
            return Source("file", source, shown)
    except UnicodeEncodeError:
        raise SourceRefused("the name of the file or folder is not UTF-8: rename it") from None
    except OSError as error:
        raise SourceRefused(f"{shown[:200]} can't be looked at: {error.strerror}") from None
    raise SourceRefused(f"there is no file or folder {shown}")


def _parse_address(source: str, shown: str) -> Source:
    scheme, rest = source.split("://", 1)
    if scheme.lower() in RTSP_SCHEMES:
        if not rest.strip("/"):
            raise SourceRefused(f"{shown} names no host")
        return Source("rtsp", source, shown)
    raise SourceRefused(
        f"{shown} can't be read: a source is a file, a folder of pictures, a device or an rtsp:// address"
    )
