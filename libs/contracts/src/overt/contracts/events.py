"""The public events of `alerts.v1`: JSON, no pictures, no templates, links instead."""

from typing import Annotated, Literal

import msgspec

from overt.contracts.messages import MAX_INTEGER, Cosine, Identifier, Nanoseconds

AlertVerdict = Literal["true_alert", "false_alert"]
AlertState = Literal[
    "awaiting_first", "awaiting_second", "disagreed", "judged_true", "judged_false", "closed"
]
EngagementResult = Literal["confirmed_true", "confirmed_false", "unconfirmed"]
Outcome = Literal["arrest", "other_disposal", "no_action"]
# A link and nothing else: a `data:` address could carry a picture out of the house.
Link = Annotated[str, msgspec.Meta(max_length=300, pattern=r"^(https?://|/(?!/))[!-~]*$(?!\n)")]


class AlertEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type"):
    """What every event says. `sequence` counts the events of one alert from 1, without gaps."""

    alert_id: Identifier
    deployment_id: Identifier
    sequence: Annotated[int, msgspec.Meta(ge=1, le=MAX_INTEGER)]
    at_ns: Nanoseconds
    version: Literal[1]


class AlertRaised(AlertEvent, frozen=True, tag="alert_raised"):
    """A new alert. `similarity` is a score against `threshold`, not a probability."""

    entry_id: Identifier
    watchlist_id: Identifier
    camera_id: Identifier
    captured_at_ns: Nanoseconds
    similarity: Cosine
    threshold: Cosine
    link: Link


class AlertStrengthened(AlertEvent, frozen=True, tag="alert_strengthened"):
    """A better probe of the same entry within the same window."""

    similarity: Cosine


class JudgementMade(AlertEvent, frozen=True, tag="judgement_made"):
    """One person judged; which answer stays inside the control room until both have judged."""

    ordinal: Annotated[int, msgspec.Meta(ge=1, le=3)]
    state: AlertState


class AlertEscalated(AlertEvent, frozen=True, tag="alert_escalated"):
    """Nobody judged within the deadline that began when the alert, or the last judgement, was there.

    `times` counts from 1: it is said again at every deadline while nobody does.
    """

    times: Annotated[int, msgspec.Meta(ge=1, le=MAX_INTEGER)]


class OutcomeRecorded(AlertEvent, frozen=True, tag="outcome_recorded"):
    """What came of it."""

    engagement: EngagementResult
    outcome: Outcome


AnyAlertEvent = AlertRaised | AlertStrengthened | AlertEscalated | JudgementMade | OutcomeRecorded
