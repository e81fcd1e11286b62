import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from overt.recognition.errors import FetchFailed
from overt.recognition.pypi import PackageIndex, ReleaseFile, fetch_release_file

JSON = "application/vnd.pypi.simple.v1+json"
CONTENT = bytes(range(256)) * 4000
NAME = "thing-1.0.tar.gz"
WANTED = ReleaseFile("thing", NAME, hashlib.sha256(CONTENT).hexdigest())


@dataclass
class IndexServer:
    """A package index on the loopback, with the faults that real ones have.

    `files` by name; `cut_after` bytes each answer breaks off, `cuts` times; what was asked is recorded.
    """

    files: dict[str, bytes]
    speaks_json: bool = True
    knows_range: bool = True
    cut_after: int = 0
    cuts: int = 0
    url: str = ""
    ranges: list[str | None] = field(default_factory=list)
    pages: int = 0

    @contextlib.contextmanager
    def serving(self) -> Iterator["IndexServer"]:
        handler = type("Handler", (_Handler,), {"index": self})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}/simple"
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


class _Handler(BaseHTTPRequestHandler):
    index: IndexServer

    def do_GET(self) -> None:
        if self.path.startswith("/simple/"):
            self._page()
        else:
            self._file(self.path.rpartition("/")[2])

    def _page(self) -> None:
        self.index.pages += 1
        if self.path != "/simple/thing/":
            self.send_error(404)
        elif self.index.speaks_json:
            files = [{"filename": name, "url": f"../../files/{name}"} for name in self.index.files]
            self._send(json.dumps({"meta": {"api-version": "1.1"}, "files": files}).encode(), JSON)
        else:
            links = "".join(f'<a href="../../files/{name}#sha256=0">{name}</a>' for name in self.index.files)
            self._send(f"<html><body>{links}</body></html>".encode(), "text/html; charset=utf-8")

    def _file(self, name: str) -> None:
        wanted = self.headers.get("Range")
        self.index.ranges.append(wanted)
        content, start = self.index.files[name], 0
        if wanted and self.index.knows_range:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        body = content[start:]
        if self.index.cuts > 0:
            self.index.cuts -= 1
            body = body[: self.index.cut_after]
        self.wfile.write(body)
        self.close_connection = True

    def _send(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def fetch(
    server: IndexServer, dest: Path, progress: Callable[[str, int, int], None] = lambda *_: None
) -> None:
    fetch_release_file(WANTED, dest, progress=progress, index=PackageIndex(server.url))


@pytest.mark.parametrize("speaks_json", [True, False])
def test_a_file_is_found_on_a_json_page_and_on_an_html_page(tmp_path: Path, speaks_json: bool) -> None:
    with IndexServer({NAME: CONTENT}, speaks_json=speaks_json).serving() as server:
        fetch(server, tmp_path / NAME)

    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_a_second_fetch_asks_nobody(tmp_path: Path) -> None:
    with IndexServer({NAME: CONTENT}).serving() as server:
        fetch(server, tmp_path / NAME)
    fetch(server, tmp_path / NAME)  # nobody listens any more

    assert server.pages == 1


def test_progress_rises_to_the_whole(tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    with IndexServer({NAME: CONTENT}).serving() as server:
        fetch(server, tmp_path / NAME, lambda what, done, total: steps.append((what, done, total)))

    done = [step[1] for step in steps]
    assert done == sorted(done)
    assert steps[-1] == (NAME, len(CONTENT), len(CONTENT))


def test_a_broken_connection_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with IndexServer({NAME: CONTENT}, cut_after=300_000, cuts=2).serving() as server:
        fetch(server, tmp_path / NAME)

    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-", "bytes=600000-"]


def test_a_later_run_goes_on_where_an_earlier_one_stopped(tmp_path: Path) -> None:
    with IndexServer({NAME: CONTENT}, cut_after=100_000, cuts=99).serving() as server:
        with pytest.raises(FetchFailed, match=f"{NAME} can't be had from http://127.0.0.1"):
            fetch(server, tmp_path / NAME)
        assert not (tmp_path / NAME).exists()
        server.cuts = 0
        fetch(server, tmp_path / NAME)

    assert server.ranges[-1] == "bytes=400000-"
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_an_index_that_knows_no_ranges_sends_the_whole_again(tmp_path: Path) -> None:
    with IndexServer({NAME: CONTENT}, knows_range=False, cut_after=300_000, cuts=1).serving() as server:
        fetch(server, tmp_path / NAME)

    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_other_bytes_are_refused_and_nothing_of_them_stays(tmp_path: Path) -> None:
    with IndexServer({NAME: CONTENT[:-1] + b"!"}).serving() as server:
        with pytest.raises(FetchFailed, match="is not the pinned file"):
            fetch(server, tmp_path / NAME)

        assert [path.name for path in tmp_path.iterdir()] == [".lock"]
        server.files[NAME] = CONTENT
        fetch(server, tmp_path / NAME)


def test_a_partial_file_longer_than_the_whole_is_not_taken_for_it(tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.{WANTED.sha256[:12]}.part").write_bytes(CONTENT + b"more")
    with IndexServer({NAME: CONTENT}).serving() as server:
        with pytest.raises(FetchFailed, match="is not the pinned file"):
            fetch(server, tmp_path / NAME)
        fetch(server, tmp_path / NAME)

    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_two_at_once_fetch_it_once(tmp_path: Path) -> None:
    with IndexServer({NAME: CONTENT}).serving() as server:
        threads = [threading.Thread(target=fetch, args=(server, tmp_path / NAME)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert len(server.ranges) == 1


def test_a_file_or_a_project_that_the_index_does_not_know_is_said_so(tmp_path: Path) -> None:
    with IndexServer({}).serving() as server:
        with pytest.raises(FetchFailed, match=f"has no {NAME}"):
            fetch(server, tmp_path / NAME)
        with pytest.raises(FetchFailed, match="it answered 404"):
            fetch_release_file(
                ReleaseFile("other", NAME, WANTED.sha256),
                tmp_path / NAME,
                progress=lambda *_: None,
                index=PackageIndex(server.url),
            )


def test_an_index_that_does_not_answer_is_one_line_without_the_password(tmp_path: Path) -> None:
    with IndexServer({}).serving() as server:
        url = server.url.replace("http://", "http://user:secret@")

    with pytest.raises(FetchFailed) as failed:
        fetch_release_file(WANTED, tmp_path / NAME, progress=lambda *_: None, index=PackageIndex(url))

    assert "secret" not in str(failed.value)
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, "https://pypi.org/simple"),
        ({"PIP_INDEX_URL": "https://a.example/simple/"}, "https://a.example/simple"),
        (
            {"UV_INDEX_URL": "https://b.example/s", "PIP_INDEX_URL": "https://a.example/s"},
            "https://b.example/s",
        ),
        ({"UV_DEFAULT_INDEX": "inner=https://c.example/s"}, "https://c.example/s"),
        ({"UV_DEFAULT_INDEX": "https://c.example/s?a=b"}, "https://c.example/s?a=b"),
    ],
)
def test_the_index_is_the_one_that_pip_and_uv_would_ask(environ: Mapping[str, str], url: str) -> None:
    assert PackageIndex.from_environ(environ).url == url


def test_authorities_are_those_of_the_environment_when_the_file_exists(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.touch()

    found = PackageIndex.from_environ({"PIP_CERT": str(tmp_path / "none"), "SSL_CERT_FILE": str(bundle)})

    assert found.ca_file == bundle
