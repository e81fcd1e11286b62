"""Enrols pictures: one face each, good enough to be compared, or refused with a reason."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from overt.control.errors import AllRefused, ListFull
from overt.control.examiner import Examiner, Refused
from overt.control.folder import PictureFile, entry_id_for, label_for, read_folder
from overt.control.metrics import ControlMetrics
from overt.control.policy import MAX_WATCHLIST_ENTRIES, Category
from overt.control.watchlists import Reference, Watchlists

BATCH = 64

Progress = Callable[[int, int], None]


class Refusal(NamedTuple):
    """A picture that was not enrolled, by its name in the folder, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class EnrolmentReport:
    """What became of every picture.

    `accepted` and `unchanged` hold the entry id of each picture enrolled now or before; `absent` are
    entries that stand on the list but not in the folder: they are still looked for.
    """

    watchlist_id: str
    accepted: tuple[str, ...]
    unchanged: tuple[str, ...]
    refused: tuple[Refusal, ...]
    absent: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """The report in words: one line of numbers, then one a refusal."""
        numbers = f"{len(self.accepted)} pictures enrolled ({len(set(self.accepted))} entries)"
        if self.unchanged:
            numbers += f", {len(self.unchanged)} were enrolled before"
        numbers += f", {len(self.refused)} refused"
        lines = [f"watchlist {self.watchlist_id}: {numbers}"]
        lines += [f"  refused {name}: {reason}" for name, reason in self.refused]
        if self.absent:
            lines.append(f"  still on the list but not in the folder: {', '.join(self.absent)}")
        return "\n".join(lines)


@dataclass(slots=True)
class _Running:
    """What has been found so far; `waiting` is examined and not yet stored."""

    watchlist_id: str
    category: Category
    labels: dict[str, str]
    waiting: list[Reference] = field(default_factory=list)
    seen: dict[str, str] = field(default_factory=dict)
    accepted: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)


class Enrolment:
    """Fills watchlists. What is stored after each batch stays stored, whatever happens next."""

    def __init__(self, lists: Watchlists, examiner: Examiner, metrics: ControlMetrics) -> None:
        self._lists = lists
        self._examiner = examiner
        self._metrics = metrics

    def enrol_folder(
        self, folder: Path, watchlist_id: str, *, category: Category, progress: Progress
    ) -> EnrolmentReport:
        """Enrol every picture of `folder`; `progress` is told (done, of how many) after each.

        A picture that is enrolled already changes nothing. Raises NoPictures, AllRefused, WrongPack,
        ListInUse, ListErased, ListFull.
        """
        files = read_folder(folder)
        self._lists.begin(watchlist_id)
        running = _Running(watchlist_id, category, dict(self._lists.labels(watchlist_id)))
        before = frozenset(running.labels)
        _require_room(before, files)
        for done, file in enumerate(files, start=1):
            content = self._examiner.read(file.path)
            self._take(running, file, content)
            progress(done, len(files))
        self._store(running)
        return self._report(running, absent=tuple(sorted(before - {file.entry_id for file in files})))

    def enrol_picture(
        self, picture: bytes, watchlist_id: str, *, label: str, category: Category
    ) -> EnrolmentReport:
        """Enrol one picture under `label`. Raises as enrol_folder."""
        file = PictureFile(entry_id_for(label), label_for(label), label_for(label), Path())
        self._lists.begin(watchlist_id)
        running = _Running(watchlist_id, category, dict(self._lists.labels(watchlist_id)))
        _require_room(frozenset(running.labels), [file])
        self._take(running, file, self._examiner.check_size(picture))
        self._store(running)
        return self._report(running, absent=())

    def _take(self, running: _Running, file: PictureFile, content: bytes | Refused) -> None:
        reference = content if isinstance(content, Refused) else self._examine(running, file, content)
        if isinstance(reference, Refused):
            running.refused.append(Refusal(file.name, reference.reason))
            self._metrics.pictures.labels("refused").inc()
        elif reference is not None:
            running.waiting.append(reference)
            running.seen[reference.digest] = file.entry_id
            running.labels[file.entry_id] = file.label
        if len(running.waiting) >= BATCH:
            self._store(running)

    def _examine(self, running: _Running, file: PictureFile, content: bytes) -> Reference | Refused | None:
        """Return the reference, why not, or None for a picture that is enrolled already."""
        if running.labels.get(file.entry_id, file.label) != file.label:
            return Refused(f"its name makes the id of another entry, {file.entry_id}")
        digest = self._lists.digest(running.watchlist_id, content)
        known = running.seen.get(digest) or self._lists.enrolled_as(running.watchlist_id, digest)
        if known == file.entry_id:
            self._lists.refresh(running.watchlist_id, file.entry_id, running.category)
            running.unchanged.append(file.entry_id)
            self._metrics.pictures.labels("unchanged").inc()
            return None
        if known is not None:
            return Refused(f"the same picture is enrolled as entry {known}")
        found = self._examiner.examine(content)
        if isinstance(found, Refused):
            return found
        return Reference(
            file.entry_id, file.label, digest, found.quality, found.template_D, found.portrait_jpeg
        )

    def _store(self, running: _Running) -> None:
        self._lists.add(running.watchlist_id, running.waiting, running.category)
        running.accepted += [one.entry_id for one in running.waiting]
        self._metrics.pictures.labels("enrolled").inc(len(running.waiting))
        running.waiting.clear()

    def _report(self, running: _Running, *, absent: tuple[str, ...]) -> EnrolmentReport:
        refused = tuple(running.refused)
        if refused and not running.accepted and not running.unchanged:
            raise AllRefused(refused)
        return EnrolmentReport(
            running.watchlist_id, tuple(running.accepted), tuple(running.unchanged), refused, absent
        )


def _require_room(entries: frozenset[str], files: Sequence[PictureFile]) -> None:
    size = len(entries | {file.entry_id for file in files})
    if size > MAX_WATCHLIST_ENTRIES:
        raise ListFull(f"the list would have {size} entries, the cap is {MAX_WATCHLIST_ENTRIES}")
