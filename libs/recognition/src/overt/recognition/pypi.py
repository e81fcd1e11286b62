"""Fetches one pinned file of one release from the package index that the user's environment names."""

import contextlib
import fcntl
import hashlib
import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urldefrag, urljoin, urlsplit, urlunsplit

import httpx
import msgspec

from overt.recognition.errors import FetchFailed

DEFAULT_INDEX = "https://pypi.org/simple"
SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"
ACCEPT = f"{SIMPLE_JSON}, text/html;q=0.1"
ATTEMPTS = 4
TIMEOUT_S = 30.0

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """One file of one release, pinned: whatever index it comes from, only these bytes are taken."""

    project: str
    filename: str
    sha256: str


@dataclass(frozen=True, slots=True)
class PackageIndex:
    """Where to ask (the root of a PEP 503 index) and which authorities to trust besides the usual."""

    url: str = DEFAULT_INDEX
    ca_file: Path | None = None

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "PackageIndex":
        """Read what uv and pip read: UV_DEFAULT_INDEX, UV_INDEX_URL, PIP_INDEX_URL; PIP_CERT, SSL_CERT_FILE."""
        named = (environ.get(name) for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"))
        url = next((value for value in named if value), DEFAULT_INDEX)
        name, separator, rest = url.partition("=")
        if separator and name.isidentifier():  # uv allows `name=url`
            url = rest
        bundles = (environ.get(name) for name in ("PIP_CERT", "SSL_CERT_FILE"))
        ca_file = next((Path(value) for value in bundles if value and Path(value).is_file()), None)
        return cls(url.rstrip("/"), ca_file)

    @property
    def shown(self) -> str:
        """The address without a user name or a password, for messages."""
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def fetch_release_file(
    wanted: ReleaseFile, dest: Path, *, progress: Progress, index: PackageIndex | None = None
) -> None:
    """Put `wanted` at `dest`, unless it is there already.

    An interrupted download goes on where it stopped, also in a later run (HTTP Range). Two processes at
    once wait for each other. `progress(filename, bytes done, bytes in all)`; 0 in all means unknown.

    Raises FetchFailed: index unreachable, file unknown to it, or bytes that are not the pinned ones.
    """
    if _has_digest(dest, wanted.sha256):
        return
    dest.parent.mkdir(parents=True, exist_ok=True)
    index = index or PackageIndex.from_environ(os.environ)
    with locked(dest.parent):
        if _has_digest(dest, wanted.sha256):
            return
        partial = dest.with_name(f"{dest.name}.{wanted.sha256[:12]}.part")
        try:
            with _client(index) as client:
                url = _find(client, index, wanted)
                _download(client, url, partial, lambda done, total: progress(wanted.filename, done, total))
        except httpx.HTTPError as error:
            raise FetchFailed(
                f"{wanted.filename} can't be had from {index.shown}: {_cause(error)}"
            ) from error
        if not _has_digest(partial, wanted.sha256):
            partial.unlink()
            raise FetchFailed(
                f"{wanted.filename} from {index.shown} is not the pinned file (SHA-256 differs)"
            )
        partial.replace(dest)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; a second process waits. The lock goes with the process that holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _has_digest(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_of(path) == sha256


def _client(index: PackageIndex) -> httpx.Client:
    verify = ssl.create_default_context(cafile=str(index.ca_file)) if index.ca_file else True
    return httpx.Client(verify=verify, follow_redirects=True, timeout=TIMEOUT_S)


def _find(client: httpx.Client, index: PackageIndex, wanted: ReleaseFile) -> str:
    """Return the address of the file, from the project's page (PEP 691 JSON, or PEP 503 HTML)."""
    answer = client.get(f"{index.url}/{wanted.project}/", headers={"Accept": ACCEPT})
    answer.raise_for_status()
    if answer.headers.get("content-type", "").startswith(SIMPLE_JSON):
        links = _json_links(answer.content)
    else:
        parser = _Anchors()
        parser.feed(answer.text)
        links = parser.links
    if wanted.filename not in links:
        raise FetchFailed(f"{index.shown} has no {wanted.filename}")
    return urldefrag(urljoin(str(answer.url), links[wanted.filename])).url


class _File(msgspec.Struct):
    filename: str
    url: str


class _ProjectPage(msgspec.Struct):
    files: list[_File]


def _json_links(content: bytes) -> dict[str, str]:
    try:
        page = msgspec.json.decode(content, type=_ProjectPage)
    except msgspec.DecodeError as error:
        raise FetchFailed("the package index answered with something that is no project page") from error
    return {file.filename: file.url for file in page.files}


class _Anchors(HTMLParser):
    """Collects the links of a PEP 503 page, by the file name that is their text."""

    def __init__(self) -> None:
        super().__init__()
        self.links: dict[str, str] = {}
        self._href: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._href = dict(attrs).get("href")

    def handle_data(self, data: str) -> None:
        if self._href is not None and data.strip():
            self.links[data.strip()] = self._href
            self._href = None


def _download(client: httpx.Client, url: str, partial: Path, progress: Callable[[int, int], None]) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _append(client, url, partial, progress)
        except httpx.TransportError:
            if attempt == ATTEMPTS:
                raise
        else:
            return


def _append(client: httpx.Client, url: str, partial: Path, progress: Callable[[int, int], None]) -> None:
    """Fetch what is missing in `partial`; an index that ignores Range sends, and we take, the whole."""
    have = partial.stat().st_size if partial.exists() else 0
    # Identity: lengths and ranges are of the file, not of a compressed form of it.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with client.stream("GET", url, headers=headers) as answer:
        if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # it was whole already, or it is not ours: the digest will tell
        answer.raise_for_status()
        resumed = answer.status_code == httpx.codes.PARTIAL_CONTENT
        done = have if resumed else 0
        total = done + int(answer.headers.get("content-length", 0))
        with partial.open("ab" if resumed else "wb") as file:
            for chunk in answer.iter_raw():
                file.write(chunk)
                done += len(chunk)
                progress(done, max(total, done))


def _cause(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"it answered {error.response.status_code}"
    return str(error) or type(error).__name__
