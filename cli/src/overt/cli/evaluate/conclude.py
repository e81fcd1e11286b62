"""Brings a protocol's scores to an end: the evidence, signed if a key is given, and everything written down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from overt.cli.evaluate.dataset import Labels
from overt.cli.evaluate.measured import Wish, groups_of, list_of, marks_of, rank_one_of, rows_of, wanted_of
from overt.cli.evaluate.output import write_all
from overt.cli.evaluate.result import Folds, Result, TopPair, counted
from overt.cli.evaluate.subject import Subject
from overt.cli.evaluate.trials import Trials
from overt.contracts.evidence import Evidence, Protocol, sign_evidence
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


def conclude(subject: Subject, scored: Scored, wish: Wish, ending: Ending) -> Result:
    """Count, sign and write; return the result."""
    main, largest = scored.trials[0], max(scored.trials, key=lambda each: each.size)
    wanted = wanted_of(scored.trials, wish)
    default = subject.info.calibration.default_threshold if scored.protocol == "identification" else None
    marks = [marks_of(each, wanted, default, wish.rank) for each in scored.trials]
    shown = marks[0][0].threshold if marks[0] else None
    groups = (
        ()
        if ending.labels is None or shown is None
        else tuple(groups_of(main, ending.labels, shown, wish.rank))
    )
    faces = subject.faces
    not_enrolled = sum(not worked for worked in scored.enrolled.values())
    evidence = Evidence(
        protocol=scored.protocol,
        pack=subject.info.name,
        fingerprint=subject.info.fingerprint,
        data_set=subject.title,
        data_set_sha256=subject.sha256,
        people=len(main.people),
        failed_to_acquire=counted(proportion(len(faces.failures), len(faces.failures) + len(faces.row_of))),
        failed_to_enrol=counted(proportion(not_enrolled, len(scored.enrolled))),
        rank=wish.rank,
        lists=tuple(
            list_of(each, of_list, wish.rank) for each, of_list in zip(scored.trials, marks, strict=True)
        ),
        groups=groups,
        wanted=wanted,
        tool=f"overt {version('overt-cli')}",
        measured_at_s=ending.clock.now_s(),
    )
    result = Result(
        evidence=evidence,
        signed=ending.key is not None,
        rows=tuple(
            row
            for each, of_list in zip(scored.trials, marks, strict=True)
            for row in rows_of(each, of_list, wish)
        ),
        rank_one=tuple(map(rank_one_of, scored.trials)),
        folds=scored.folds,
        top_non_mated=tuple(TopPair(*pair, largest.size) for pair in largest.most_alike(TOP_PAIRS)),
        failures=len(faces.failures),
        bootstrap_rounds=wish.rounds,
        seed=wish.seed,
        seconds=round(ending.clock.monotonic_s() - ending.started_s, 1),
    )
    write_all(ending.out, result, scored.trials, faces.failures)
    record = ending.out / RECORD
    # A record of an earlier run must not lie beside other figures.
    record.unlink(missing_ok=True)
    if ending.key is not None:
        record.write_bytes(sign_evidence(evidence, ending.key))
    return result
