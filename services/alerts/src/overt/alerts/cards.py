"""Fetches the reference cards of alerts, beside the loop: a card that is late holds no alert up."""

import threading
from contextlib import suppress
from dataclasses import dataclass

import structlog
from sqlalchemy import exists, select

from overt.alerts.live import Pulse
from overt.alerts.patience import Patience, Stopped
from overt.alerts.pictures import Vault, card_blobs
from overt.alerts.references import CardUnavailable, References
from overt.alerts.store import Store
from overt.alerts.tables import AlertRow, PictureRow
from overt.contracts.context import Context
from overt.runtime.keys import KeyGone

log = structlog.get_logger()

IDLE_S = 0.5
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
BATCH = 20


@dataclass(frozen=True, slots=True)
class _Missing:
    alert_id: str
    deployment_id: str
    watchlist_id: str
    entry_id: str


@dataclass(frozen=True, slots=True)
class _Pause:
    until_s: float
    length_s: float


class CardFetcher:
    """Looks for alerts without a card, and asks again with growing pauses while one can't be had."""

    def __init__(
        self, context: Context, *, store: Store, vault: Vault, references: References, pulse: Pulse
    ) -> None:
        self._store = store
        self._vault = vault
        self._references = references
        self._pulse = pulse
        self._clock = context.clock
        self._patience = Patience("reference cards", context.health, context.clock)
        self._pauses: dict[str, _Pause] = {}

    def run(self, stop: threading.Event) -> None:
        """Fetch until `stop` is set."""
        with suppress(Stopped):
            while not stop.is_set():
                seen = self._pulse.count
                if not self._patience.until_done(self.step, stop):
                    self._pulse.wait(seen, IDLE_S)

    def step(self) -> int:
        """Ask once for every card that is missing and due; return how many came."""
        now_s = self._clock.monotonic_s()
        due = [m for m in self._missing() if now_s >= self._pause_of(m).until_s]
        return sum(self._fetch(missing) for missing in due)

    def _missing(self) -> list[_Missing]:
        has_card = exists().where(PictureRow.alert_id == AlertRow.alert_id, PictureRow.kind == "card")
        query = select(AlertRow).where(~has_card).order_by(AlertRow.raised_at_ns.desc()).limit(BATCH)
        with self._store.read() as session:
            return [
                _Missing(row.alert_id, row.deployment_id, row.watchlist_id, row.entry_id)
                for row in session.scalars(query)
            ]

    def _pause_of(self, missing: _Missing) -> _Pause:
        return self._pauses.get(missing.alert_id, _Pause(0.0, FIRST_PAUSE_S))

    def _fetch(self, missing: _Missing) -> int:
        try:
            card = self._references.card(missing.watchlist_id, missing.entry_id)
            blobs = self._vault.seal(missing.deployment_id, missing.alert_id, card_blobs(card))
        except CardUnavailable as error:
            self._put_off(missing, str(error))
            return 0
        except KeyGone:
            self._put_off(missing, "the deployment was erased")
            return 0
        with self._store.write() as session:
            for blob in blobs:
                session.merge(blob)
        self._pauses.pop(missing.alert_id, None)
        self._pulse.beat()
        return 1

    def _put_off(self, missing: _Missing, reason: str) -> None:
        length_s = self._pause_of(missing).length_s
        until_s = self._clock.monotonic_s() + length_s
        self._pauses[missing.alert_id] = _Pause(until_s, min(2 * length_s, LONGEST_PAUSE_S))
        log.warning(
            "reference card not available yet", alert_id=missing.alert_id, reason=reason, retry_in_s=length_s
        )
