"""The scripts that write into the repository: examples are made once, generated pages are checked."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def script(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def make_examples() -> Any:
    return script("make_examples")


@pytest.fixture(scope="module")
def generate_docs() -> Any:
    return script("generate_docs")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_every_example_that_the_script_knows_is_committed(make_examples: Any, tmp_path: Path) -> None:
    """Not byte for byte: what was committed first counts, whatever today's code would make of it."""
    make_examples.write(tmp_path)
    assert set(contents(tmp_path)) <= set(contents(make_examples.EXAMPLES))


def test_an_example_is_never_written_again(make_examples: Any, tmp_path: Path) -> None:
    written, kept = make_examples.write(tmp_path)
    assert kept == 0
    old = tmp_path / "audit/v1/good/audit_head.plain.msgpack"
    old.write_bytes(b"as an older version wrote it")
    before = contents(tmp_path)
    assert make_examples.write(tmp_path) == (0, written)
    assert contents(tmp_path) == before


def test_a_missing_example_is_written_and_the_others_are_left(make_examples: Any, tmp_path: Path) -> None:
    written, _ = make_examples.write(tmp_path)
    (tmp_path / "audit/v1/good/audit_head.plain.msgpack").unlink()
    assert make_examples.write(tmp_path) == (1, written - 1)


def test_an_example_that_is_refused_for_another_reason_is_not_written(
    make_examples: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = make_examples.Example(make_examples.AUDIT, "audit_head.wrong", b"\xc1", "oversize")
    monkeypatch.setattr(make_examples, "examples", lambda: iter([wrong]))
    with pytest.raises(ValueError, match="expected 'oversize', found 'not msgpack'"):
        make_examples.write(tmp_path)
    assert contents(tmp_path) == {}


def test_the_generated_pages_are_up_to_date(generate_docs: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate_docs.check(generate_docs.GENERATED) == 0, capsys.readouterr().err


def test_a_page_that_differs_is_shown_with_its_difference(
    generate_docs: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    makers = {"topics.md": lambda: "kept for 60 s\n"}
    assert generate_docs.check(tmp_path, makers) == 1
    generate_docs.write(tmp_path, makers)
    assert generate_docs.check(tmp_path, makers) == 0
    (tmp_path / "topics.md").write_text("kept for ever\n")
    capsys.readouterr()
    assert generate_docs.check(tmp_path, makers) == 1
    told = capsys.readouterr().err
    assert "-kept for ever\n+kept for 60 s\n" in told
    assert "run `make docs`" in told
    assert (tmp_path / "topics.md").read_text() == "kept for ever\n"


def test_a_page_that_nothing_makes_is_out_of_date_and_left_where_it_is(
    generate_docs: Any, tmp_path: Path
) -> None:
    (tmp_path / "old.md").write_text("x")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    assert generate_docs.check(tmp_path, {}) == 1
    generate_docs.write(tmp_path, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old.md", "picture.png"]


def test_the_topics_page_has_every_topic_message_and_field(generate_docs: Any) -> None:
    page = generate_docs.topics_page()
    for topic in generate_docs.TOPICS.values():
        assert f"| `{topic.name}` |" in page
        for message in topic.messages:
            section = page.split(f"### {message.__name__} on ")[1].split("###")[0]
            for field in message.__struct_fields__:
                assert f"| `{field}` |" in section


def test_the_schema_allows_no_field_that_could_carry_a_picture(generate_docs: Any) -> None:
    schema = json.loads(generate_docs.alerts_schema())
    assert len(schema["anyOf"]) == 5
    for event in schema["$defs"].values():
        assert event["additionalProperties"] is False
        texts = [name for name, told in event["properties"].items() if told.get("type") == "string"]
        assert all("pattern" in event["properties"][name] for name in texts), texts
