"""Writes the pages that are made from the code; `--check` says which are out of date and ends with 1.

A further page is one function that returns its text, and one line in PAGES.
"""

import argparse
import difflib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import cleandoc
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from overt.contracts.events import AnyAlertEvent
from overt.contracts.messages import MAX_INTEGER, Identifier, Sha256
from overt.contracts.orders import Order
from overt.contracts.topics import CHANGELOGS, FRAMES, TOPICS, Changelog, Topic, dead_letter_topic

SUFFIXES = (".md", ".json")
GENERATED = Path(__file__).parents[1] / "docs" / "generated"
NOTE = "<!-- Made by scripts/generate_docs.py: change the code, then run `make docs`. -->"

INTRODUCTION = """\
MessagePack on internal topics, JSON on `alerts.v1`. A message with a field that is not listed, or without one
that is, is refused; what is refused goes to `<topic>.dead` with a reason that repeats nothing of it. Sealed
payloads are AES-256-GCM, bound to topic, key and deployment. Times are UNIX time, UTC."""
DEAD_LETTERS = """\
Dead letters have the key, the partitions and the retention of their source (those of a compacted topic are kept
for 7 days). What was sealed stays sealed in them; what should have been sealed and was not is not copied."""
ACCESS = """\
At a Kafka with logins each service has a user of its own name and may do what stands here and nothing else
(`overt topics apply --acls`): read and write its topics, write the dead letters of those it reads in a group, and
use the group of its own name. Dead letters are read by operators alone."""
PATTERNS = {Identifier: "identifier", Sha256: "64 hexadecimal digits"}


def topics_page() -> str:
    """The table of topics, then every message with its fields."""
    titles = (
        "topic",
        "key",
        "messages",
        "kept for",
        "sealed with",
        "largest message",
        "partitions",
        "writers",
        "readers",
    )
    rows = [_row(topic) for topic in TOPICS.values()]
    described = [(f"`{topic.name}`", message) for topic in TOPICS.values() for message in topic.messages]
    described.append(("every `.dead`", dead_letter_topic(FRAMES).messages[0]))
    parts = [
        NOTE,
        "# Topics and messages",
        INTRODUCTION,
        _table(titles, rows),
        DEAD_LETTERS,
        *map(_changelog, CHANGELOGS),
        ACCESS,
        f"An identifier is text that matches `{_pattern(Identifier)}`.",
        "## Messages",
        *(_described(message, f" on {name}") for name, message in described),
        "## Within messages",
        "In `order_json` of a `SignedOrder` stands, as JSON:",
        _described(Order),
        *(_described(message) for message in _inner(message for _, message in described)),
    ]
    return "\n\n".join(parts) + "\n"


def _row(topic: Topic) -> tuple[str, ...]:
    return (
        f"`{topic.name}`",
        topic.key,
        ", ".join(message.__name__ for message in topic.messages),
        "compacted" if topic.retention_s is None else _duration(topic.retention_s),
        {"epoch": "key of 5 minutes", "lasting": "key of the deployment", None: "not sealed"}[topic.sealed],
        f"{topic.max_bytes:,} bytes",
        str(topic.partitions),
        ", ".join(topic.writers),
        ", ".join(topic.readers),
    )


def _changelog(changelog: Changelog) -> str:
    return (
        f"`{changelog.name}` holds what the stream of {changelog.owner} folded from `{changelog.source.name}`, "
        f"for {_duration(changelog.retention_s)}, on as many partitions: no message of this contract, and "
        f"{changelog.owner} alone reads and writes it."
    )


def _duration(seconds: int) -> str:
    days, rest = divmod(seconds, 86_400)
    if rest:
        return f"{seconds} s"
    return "24 h" if days == 1 else f"{days} days"


def _table(titles: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    # A bar within code would end the cell.
    lines = [titles, tuple("---" for _ in titles), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _described(message: type[Any], where: str = "") -> str:
    told = inspect.type_info(message)
    if not isinstance(told, inspect.StructType):
        raise TypeError(f"{message.__name__} is no struct")
    tag = [] if told.tag is None else [("`type`", f"`{told.tag}`")]
    rows = [*tag, *((f"`{field.encode_name}`", _type(field.type)) for field in told.fields)]
    title = f"### {message.__name__}{where}"
    return "\n\n".join((title, cleandoc(message.__doc__ or ""), _table(("field", "type"), rows)))


def _inner(messages: Iterator[type[Any]]) -> list[type[Any]]:
    """The structs that stand within others, each once, outer ones first."""
    found: dict[type[Any], None] = {}
    for message in messages:
        for struct in _structs(inspect.type_info(message)):
            if struct is not message:
                found[struct] = None
    return list(found)


def _structs(told: inspect.Type) -> Iterator[type[Any]]:
    if isinstance(told, inspect.StructType):
        yield told.cls
        for field in told.fields:
            yield from _structs(field.type)
    elif isinstance(told, inspect.VarTupleType):
        yield from _structs(told.item_type)


def _pattern(annotated: object) -> str:
    told = inspect.type_info(annotated)
    return (told.pattern or "") if isinstance(told, inspect.StrType) else ""


def _type(told: inspect.Type) -> str:
    match told:
        case inspect.StructType():
            return told.cls.__name__
        case inspect.LiteralType():
            return " or ".join(f"`{value}`" for value in told.values)
        case inspect.TupleType():
            return f"{len(told.item_types)} of: {_type(told.item_types[0])}"
        case inspect.VarTupleType():
            return f"list{_lengths(told.min_length, told.max_length, 'items')} of: {_type(told.item_type)}"
        case inspect.UnionType():
            return " or ".join(_type(part) for part in told.types)
    return _plain_type(told)


def _plain_type(told: inspect.Type) -> str:
    match told:
        case inspect.IntType() | inspect.FloatType():
            name = "integer" if isinstance(told, inspect.IntType) else "number"
            return name + _bounds(told.ge, told.gt, told.le)
        case inspect.StrType():
            known = {_pattern(annotated): name for annotated, name in PATTERNS.items()}
            if told.pattern in known:
                return known[told.pattern]
            pattern = "" if told.pattern is None else f" that matches `{told.pattern}`"
            return "text" + _lengths(told.min_length, told.max_length, "characters") + pattern
        case inspect.BytesType():
            return "bytes" + _lengths(told.min_length, told.max_length, "")
        case inspect.BoolType():
            return "true or false"
        case inspect.NoneType():
            return "nothing"
    raise TypeError(f"no words for {type(told).__name__}")


def _bounds(ge: float | None, gt: float | None, le: float | None) -> str:
    low = f" from {ge:g}" if ge is not None else f" above {gt:g}" if gt is not None else ""
    return low + ("" if le is None or le == MAX_INTEGER else f" to {le:g}")


def _lengths(low: int | None, high: int | None, unit: str) -> str:
    if high is None:
        return ""
    least = "at most" if low is None else "" if low == high else f"{low} to"
    return ", " + " ".join(part for part in (least, f"{high:,}", unit) if part)


def alerts_schema() -> str:
    """The JSON Schema of what stands on `alerts.v1`."""
    schema = msgspec.json.schema(AnyAlertEvent)
    about = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "alerts.v1",
        "description": "An event of an alert: no pictures, no templates, links instead.",
    }
    return json.dumps({**about, **schema}, indent=2) + "\n"


PAGES: Mapping[str, Callable[[], str]] = {
    "topics.md": topics_page,
    "alerts.v1.schema.json": alerts_schema,
}


@dataclass(frozen=True, slots=True)
class Page:
    """One generated file: what the code says and what the folder holds (None: it is not there)."""

    path: Path
    wanted: str | None
    found: str | None

    def complaint(self) -> str:
        """What is wrong with the file, empty if nothing is: the change that would bring it up to date."""
        if self.wanted is None:
            return f"{self.path}: nothing makes this file\n"
        before, after = (self.found or "").splitlines(keepends=True), self.wanted.splitlines(keepends=True)
        return "".join(difflib.unified_diff(before, after, f"{self.path} as it is", f"{self.path} as made"))


def pages(folder: Path, makers: Mapping[str, Callable[[], str]] = PAGES) -> list[Page]:
    """Every page that should be in `folder`, and every page there that nothing makes."""
    names = {path.name for path in folder.glob("*") if path.suffix in SUFFIXES}
    return [
        Page(
            path=folder / name,
            wanted=makers[name]() if name in makers else None,
            found=(folder / name).read_text() if name in names else None,
        )
        for name in sorted(names | set(makers))
    ]


def check(folder: Path, makers: Mapping[str, Callable[[], str]] = PAGES) -> int:
    """Say on standard error what is out of date; return the exit code."""
    stale = [complaint for page in pages(folder, makers) if (complaint := page.complaint())]
    for complaint in stale:
        sys.stderr.write(complaint)
    if stale:
        sys.stderr.write(f"{len(stale)} generated pages are out of date: run `make docs`\n")
    return 1 if stale else 0


def write(folder: Path, makers: Mapping[str, Callable[[], str]] = PAGES) -> None:
    """Bring the folder up to date; a file that nothing makes is left to whoever put it there."""
    folder.mkdir(parents=True, exist_ok=True)
    for page in pages(folder, makers):
        if page.wanted is not None and page.wanted != page.found:
            page.path.write_text(page.wanted)


def main(arguments: list[str]) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing, show what is out of date, exit 1"
    )
    if parser.parse_args(arguments).check:
        return check(GENERATED)
    write(GENERATED)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
