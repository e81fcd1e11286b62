"""Brings a protocol's scores to an end: the evidence, signed if a key is given, and everything written down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from overt.cli.evaluate.dataset import Labels
from overt.cli.evaluate.errors import EvaluationRefused
from overt.cli.evaluate.measured import (
    Mark,
    Wish,
    asked_list,
    groups_of,
    list_of,
    marks_of,
    rank_one_of,
    rows_of,
    wanted_of,
)
from overt.cli.evaluate.output import write_all, writing
from overt.cli.evaluate.result import Folds, Result, TopPair, counted
from overt.cli.evaluate.subject import Subject
from overt.cli.evaluate.trials import Trials
from overt.contracts.evidence import Evidence, Protocol, Wanted, sign_evidence
from overt.recognition.metrics import proportion
from overt.runtime.clock import Clock

TOP_PAIRS = 20
RECORD = "evidence.json"


@dataclass(frozen=True, slots=True)
class Scored:
    """What a protocol hands over: its scores, and who could be enrolled (person to whether it worked)."""

    protocol: Protocol
    trials: Sequence[Trials]
    enrolled: Mapping[str, bool]
    folds: Folds | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """Where the results go, who signs them, and by which labels they are told apart."""

    out: Path
    key: Ed25519PrivateKey | None
    labels: Labels | None
    clock: Clock
    started_s: float


@dataclass(frozen=True, slots=True)
class _Lists:
    """The lists, the one that was asked for first, and the thresholds that are shown of each."""

    trials: tuple[Trials, ...]
    marks: tuple[tuple[Mark, ...], ...]


def conclude(subject: Subject, scored: Scored, wish: Wish, ending: Ending) -> Result:
    """Count, sign and write; return the result. Raises EvaluationRefused."""
    asked = asked_list(scored.trials, wish)
    trials = (asked, *(each for each in scored.trials if each is not asked))
    wanted = wanted_of(trials, wish)
    default = subject.info.calibration.default_threshold if scored.protocol == "identification" else None
    marks = tuple(marks_of(each, wanted if each is asked else None, default, wish.rank) for each in trials)
    lists = _Lists(trials, marks)
    evidence = _evidence(subject, scored, lists, wanted=wanted, wish=wish, ending=ending)
    largest = max(trials, key=lambda each: each.size)
    result = Result(
        evidence=evidence,
        signed=ending.key is not None,
        rows=tuple(row for pair in zip(trials, marks, strict=True) for row in rows_of(*pair, wish)),
        rank_one=tuple(map(rank_one_of, trials)),
        folds=scored.folds,
        top_non_mated=tuple(TopPair(*pair, largest.size) for pair in largest.most_alike(TOP_PAIRS)),
        failures=len(subject.faces.failures),
        bootstrap_rounds=wish.rounds,
        seed=wish.seed,
        seconds=round(ending.clock.monotonic_s() - ending.started_s, 1),
    )
    signed, record = _signed(evidence, ending.key), ending.out / RECORD
    with writing(ending.out):
        # A record of an earlier run must not lie beside other figures, whatever ends this one.
        record.unlink(missing_ok=True)
        write_all(ending.out, result, trials, subject.faces.failures)
        if signed is not None:
            record.write_bytes(signed)
    return result


def _signed(evidence: Evidence, key: Ed25519PrivateKey | None) -> bytes | None:
    try:
        return None if key is None else sign_evidence(evidence, key)
    except ValueError as error:
        raise EvaluationRefused(
            f"what was measured can't be signed: {error}; run it without --sign"
        ) from None


def _evidence(  # noqa: PLR0913 - what a record is made of
    subject: Subject, scored: Scored, lists: _Lists, *, wanted: Wanted, wish: Wish, ending: Ending
) -> Evidence:
    main, first_marks = lists.trials[0], lists.marks[0]
    labels = ending.labels
    groups = (
        ()
        if labels is None or not first_marks
        else groups_of(main, labels, first_marks[0].threshold, wish.rank)
    )
    faces, enrolled = subject.faces, scored.enrolled.values()
    return Evidence(
        protocol=scored.protocol,
        pack=subject.info.name,
        fingerprint=subject.info.fingerprint,
        data_set=subject.title,
        data_set_sha256=subject.sha256,
        people=len(main.people),
        failed_to_acquire=counted(proportion(len(faces.failures), len(faces.failures) + len(faces.row_of))),
        failed_to_enrol=counted(proportion(sum(not worked for worked in enrolled), len(enrolled))),
        rank=wish.rank,
        lists=tuple(
            list_of(each, marks, wish.rank) for each, marks in zip(lists.trials, lists.marks, strict=True)
        ),
        groups=tuple(groups),
        wanted=wanted,
        tool=f"overt {version('overt-cli')}",
        measured_at_s=ending.clock.now_s(),
    )
