"""Lets the control room use control in the same process, where the deployed shape asks over HTTP."""

from collections.abc import Callable

import structlog

from overt.alerts.desk import StopFailed
from overt.alerts.references import CardUnavailable, EntryCard
from overt.control.control import Control
from overt.control.errors import Unknown

log = structlog.get_logger()


class ControlReferences:
    """See overt.alerts.references.References."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def card(self, watchlist_id: str, entry_id: str) -> EntryCard:
        """Return the card. Raises CardUnavailable."""
        try:
            card = self._control.entry_card(watchlist_id, entry_id)
        except Unknown as error:
            raise CardUnavailable(str(error)) from None
        return EntryCard(label=card.label, category=card.category, picture_jpeg=card.picture_jpeg)


def stop_with(control: Control) -> Callable[[str, str], None]:
    """Return the stop button's action. Raises StopFailed."""

    def stop(deployment_id: str, person_id: str) -> None:
        try:
            control.stop(deployment_id)
        except Unknown as error:
            raise StopFailed(str(error)) from None
        log.warning("deployment stopped", deployment=deployment_id, person=person_id)

    return stop
