"""The design of the code itself: sizes, handlers, and what must never stand in the repository."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAX_FUNCTION_LINES = 50
MAX_MODULE_LINES = 400
# The top of a process is the one place that may catch everything: it logs and ends the process.
MAY_CATCH_ALL = {"libs/runtime/src/overt/runtime/process.py", "cli/src/overt/cli/__main__.py"}


def tracked(pattern: str) -> list[Path]:
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", pattern],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def long_functions(source: str) -> list[str]:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]
    return [
        f"{node.name} ({length} lines)"
        for node in found
        if (length := (node.end_lineno or node.lineno) - node.lineno + 1) > MAX_FUNCTION_LINES
    ]


def broad_handlers(source: str) -> Iterator[int]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler) and (
            node.type is None
            or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"})
        ):
            yield node.lineno


SOURCES = [path for path in tracked("*.py") if "tests" not in path.parts]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_function_and_no_module_is_longer_than_the_ceiling(path: Path) -> None:
    source = path.read_text()
    assert long_functions(source) == []
    assert source.count("\n") <= MAX_MODULE_LINES


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_top_of_a_process_catches_everything(path: Path) -> None:
    if str(path.relative_to(ROOT)) in MAY_CATCH_ALL:
        return
    assert list(broad_handlers(path.read_text())) == []


def test_the_guards_above_can_fail() -> None:
    body = "\n".join("    pass" for _ in range(MAX_FUNCTION_LINES))
    assert long_functions(f"def f():\n{body}\n") == ["f (51 lines)"]
    assert list(broad_handlers("try:\n    pass\nexcept Exception:\n    pass\n")) == [3]
    assert list(broad_handlers("try:\n    pass\nexcept ValueError:\n    pass\n")) == []


def test_the_project_speaks_of_itself_only() -> None:
    mine = Path(__file__)
    words = ("/work" + "/", "/root" + "/", "/home" + "/")
    for path in tracked("*"):
        if path == mine or path.suffix in {".png", ".jpg", ".msgpack", ".bin"}:
            continue
        text = path.read_text(errors="replace")
        assert not [word for word in words if word in text], path


def test_no_photograph_is_committed_outside_the_screenshots() -> None:
    pictures = [path for kind in ("*.jpg", "*.jpeg", "*.png", "*.mp4") for path in tracked(kind)]
    assert [path for path in pictures if "docs" not in path.parts] == []


def test_every_member_says_what_it_is_for() -> None:
    for member in [*ROOT.glob("libs/*"), *ROOT.glob("services/*"), ROOT / "cli"]:
        assert len((member / "README.md").read_text().split()) > 40, member
        assert (member / "pyproject.toml").is_file()
