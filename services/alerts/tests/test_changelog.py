"""The changelog of the stream's table: what was written is read, whatever else stands there does no harm."""

import pytest

from overt.alerts.changelog import NO_KEY, Marks, WindowKeys

KEY = ["dep-1/entry-1", [60.0, 119.9]]


def test_what_was_written_is_read() -> None:
    assert WindowKeys().loads(WindowKeys().dumps(KEY)) == KEY
    assert Marks().loads(Marks().dumps(["a", "b"])) == ["a", "b"]


DEEP = b"[" * 100_000


@pytest.mark.parametrize(
    "data", [b"", b"\xc1", b"{}", b"null", b'"text"', b"[{}, 1]", b'["a", [0, {}]]', b'["a", [0]]', DEEP]
)
def test_what_is_no_key_becomes_that_of_a_window_long_over(data: bytes) -> None:
    assert WindowKeys().loads(data) == NO_KEY


@pytest.mark.parametrize("data", [b"", b"\xc1", b"{}", b"null", b"7", b'"text"', b"[7]", b"[[]]", DEEP])
def test_what_is_no_list_of_marks_is_none(data: bytes) -> None:
    assert Marks().loads(data) == []
