"""The committed examples: what was once readable stays readable, what is bad is refused for its reason."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from overt.contracts.codec import Unreadable, decode, encode
from overt.contracts.orders import OrderRefused, SignedOrder, verify
from overt.contracts.topics import FRAMES, TOPICS, Topic, dead_letter_topic

EXAMPLES = Path(__file__).parents[1] / "examples"
MAX_EXAMPLE_BYTES = 100_000
EXAMPLE_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key()

FOLDERS: Mapping[str, Topic] = {
    topic.name.replace(".v", "/v"): topic for topic in (*TOPICS.values(), dead_letter_topic(FRAMES))
}


def files(kind: str) -> list[tuple[Topic, Path]]:
    return [
        (topic, path)
        for folder, topic in FOLDERS.items()
        for path in sorted((EXAMPLES / folder / kind).glob(f"*.{topic.encoding}"))
    ]


def name_of(value: object) -> str:
    return value.stem if isinstance(value, Path) else ""


def refusal(topic: Topic, value: bytes) -> str | None:
    """Why `value` is not obeyed: the codec's reason, or for an order its verification's."""
    try:
        message = decode(topic, value)
        if isinstance(message, SignedOrder):
            verify(message, EXAMPLE_KEY)
    except (Unreadable, OrderRefused) as error:
        return str(error)
    return None


def problems_of(root: Path) -> Iterator[str]:
    """Everything that should not be below `root`, or should be and is not."""
    known = {root / folder / kind: topic for folder, topic in FOLDERS.items() for kind in ("good", "bad")}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        topic = known.get(path.parent)
        beside = path.with_suffix(f".{topic.encoding}" if topic and path.suffix == ".reason" else ".reason")
        suffixes = {"bad": (".msgpack", ".json", ".reason"), "good": (".msgpack", ".json")}
        if topic is None:
            yield f"{path}: no topic has this folder"
        elif path.suffix not in suffixes[path.parent.name] or path.suffix not in (
            f".{topic.encoding}",
            ".reason",
        ):
            yield f"{path}: not an example of {topic.name}"
        elif path.parent.name == "bad" and not beside.is_file():
            yield f"{path}: stands alone, {beside.name} is missing"
        elif path.stat().st_size > MAX_EXAMPLE_BYTES:
            yield f"{path}: too large to keep for ever"


def missing_from(root: Path) -> Iterator[str]:
    """The message types that lack a good or a bad example below `root`."""
    for folder, topic in FOLDERS.items():
        for message in topic.messages:
            for kind in ("good", "bad"):
                names = f"{stem(message)}.*.{topic.encoding}"
                if not list((root / folder / kind).glob(names)):
                    yield f"{topic.name}: no {kind} example of {message.__name__}"


def stem(message: type[Any]) -> str:
    return str(message.__struct_config__.tag).removesuffix(".v1")


@pytest.mark.parametrize(("topic", "path"), files("good"), ids=name_of)
def test_every_good_example_decodes_and_encodes_to_the_same_bytes(topic: Topic, path: Path) -> None:
    message = decode(topic, path.read_bytes())
    assert stem(type(message)) == path.name.split(".")[0]
    assert encode(topic, message) == path.read_bytes()
    assert refusal(topic, path.read_bytes()) is None


@pytest.mark.parametrize(("topic", "path"), files("bad"), ids=name_of)
def test_every_bad_example_is_refused_with_its_reason(topic: Topic, path: Path) -> None:
    assert refusal(topic, path.read_bytes()) == path.with_suffix(".reason").read_text().rstrip("\n")


def test_every_message_type_has_a_good_and_a_bad_example() -> None:
    assert list(missing_from(EXAMPLES)) == []


def test_the_examples_folder_has_nothing_unknown() -> None:
    assert list(problems_of(EXAMPLES)) == []


def test_the_guards_of_the_examples_can_fail(tmp_path: Path) -> None:
    assert len(list(missing_from(tmp_path))) == 2 * sum(len(topic.messages) for topic in FOLDERS.values())
    bad = tmp_path / "frames/v1/bad"
    bad.mkdir(parents=True)
    (bad / "frame_captured.alone.msgpack").write_bytes(b"\xc1")
    (bad / "frame_captured.orphan.reason").write_text("not msgpack\n")
    (bad / "notes.txt").write_text("x")
    (tmp_path / "frames/v2").mkdir()
    (tmp_path / "frames/v2/frame_captured.msgpack").write_bytes(b"\xc1")
    good = tmp_path / "alerts/v1/good"
    good.mkdir(parents=True)
    (good / "alert_raised.reason").write_text("x")
    (good / "alert_raised.other.msgpack").write_bytes(b"\xc1")
    (good / "alert_raised.large.json").write_bytes(bytes(MAX_EXAMPLE_BYTES + 1))
    found = sorted(line.removeprefix(str(tmp_path)) for line in problems_of(tmp_path))
    assert [line.split(":")[0] for line in found] == [
        "/alerts/v1/good/alert_raised.large.json",
        "/alerts/v1/good/alert_raised.other.msgpack",
        "/alerts/v1/good/alert_raised.reason",
        "/frames/v1/bad/frame_captured.alone.msgpack",
        "/frames/v1/bad/frame_captured.orphan.reason",
        "/frames/v1/bad/notes.txt",
        "/frames/v2/frame_captured.msgpack",
    ]


def test_a_good_example_is_refused_once_it_is_bent() -> None:
    for topic, path in files("good"):
        assert refusal(topic, path.read_bytes() + b"\x01") is not None, path.name
