"""The rules from law that control enforces: each a pure function with its source.

Marks as in the sources' list: [P] primary text read, [S] secondary source, [R] recalled and configurable.
A rule returns None, or in one line why the order is refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from overt.contracts.orders import MAX_ORDER_S, Purpose
from overt.recognition.binomial import interval_95, upper_bound_95
from overt.recognition.calibration import Calibration
from overt.runtime.keys import KeyKind

MAX_WATCHLIST_ENTRIES = 20_000
MAX_IMPORT_AGE_S = 24 * 3600
MAX_CAMERAS = 64
MAX_FPIR = 0.001
WATCHLIST_SCOPE = "watchlist."
PICTURES_SCOPE = "pictures."

# Bridges [2020] EWCA Civ 1058 struck at "other persons": no free text, no "other" [P]; FOI list of the
# Metropolitan Police [P].
Category = Literal[
    "wanted_by_court",
    "wanted_on_suspicion",
    "breach_of_conditions",
    "missing_increased_risk",
    "risk_of_harm",
    "risk_to_protected_event",
    "blue_list",
]
CATEGORIES: tuple[Category, ...] = get_args(Category)

Service = Literal["ingest", "detect", "embed", "match", "alerts"]
SERVICES: tuple[Service, ...] = get_args(Service)
KeyUse = Literal["epoch", "lasting", "watchlist"]

# Least privilege: who seals and opens frames, faces and templates holds no key of what is kept, and only
# the matcher can turn a probe the way a list is turned (ISO/IEC 24745: unlinkability) [R].
KEY_ACCESS: Mapping[Service, frozenset[KeyUse]] = {
    "ingest": frozenset({"epoch"}),
    "detect": frozenset({"epoch"}),
    "embed": frozenset({"epoch"}),
    "match": frozenset({"epoch", "lasting", "watchlist"}),
    "alerts": frozenset({"lasting"}),
}

OFFICER = "officer"

# Which callers may use which route of the API, by route name. A route that is not here answers nobody.
# The control room (alerts) shows entries and orders to judges and has the stop button: one action by an
# operator stops capture (South Wales Police SOP in Bridges [P]).
ROUTE_ACCESS: Mapping[str, frozenset[str]] = {
    "current_key": frozenset(SERVICES),
    "key_by_id": frozenset(SERVICES),
    "entry_card": frozenset({OFFICER, "alerts"}),
    "enrol_picture": frozenset({OFFICER}),
    "issue_order": frozenset({OFFICER}),
    "list_orders": frozenset({OFFICER, "alerts"}),
    "stop_deployment": frozenset({OFFICER, "alerts"}),
    "end_deployment": frozenset({OFFICER}),
}


@dataclass(frozen=True, slots=True)
class OrderDraft:
    """What an officer asks for. Times are UNIX seconds, UTC; `threshold` is a cosine."""

    deployment_id: str
    purpose: Purpose
    place: str
    starts_at_s: float
    ends_at_s: float
    camera_ids: tuple[str, ...]
    watchlist_id: str
    threshold: float


@dataclass(frozen=True, slots=True)
class WatchlistFacts:
    """What the rules look at. `oldest_import_s` is when the stalest entry was last imported."""

    fingerprint: str
    size: int
    oldest_import_s: float
    newest_import_s: float


@dataclass(frozen=True, slots=True)
class Facts:
    """The world at the moment of asking. `watchlist` None: no such list, or it was erased.

    `threshold_floor` is the lowest threshold that the loaded pack has measured evidence for, at a list of
    this size; None: no evidence at all.
    """

    now_s: float
    known_deployment: bool
    watchlist: WatchlistFacts | None
    fingerprint: str
    threshold_floor: float | None


def purpose_is_one_of_five(draft: OrderDraft, _facts: Facts) -> str | None:
    """Purpose is one of five. Source: Metropolitan Police deployment records [P]."""
    allowed = get_args(Purpose)
    return None if draft.purpose in allowed else f"the purpose must be one of {', '.join(allowed)}"


def place_is_given(draft: OrderDraft, _facts: Facts) -> str | None:
    """An order names its place. Source: Bridges: unlawful because *where* was left to discretion [P]."""
    is_given = 1 <= len(draft.place.strip()) <= 200 and draft.place.isprintable()
    return None if is_given else "the place must be given, in 1 to 200 printable characters"


def cameras_are_given(draft: OrderDraft, _facts: Facts) -> str | None:
    """An order names its cameras, each once. Source: College of Policing APP, written authority [P]."""
    cameras = draft.camera_ids
    if not 1 <= len(cameras) <= MAX_CAMERAS:
        return f"1 to {MAX_CAMERAS} cameras must be named"
    return None if len(set(cameras)) == len(cameras) else "a camera is named twice"


def start_is_before_end(draft: OrderDraft, _facts: Facts) -> str | None:
    """An order has a start and, later, an end. Source: College of Policing APP: time-bound [S]."""
    return None if 0 < draft.starts_at_s < draft.ends_at_s else "the start must be before the end"


def end_is_ahead(draft: OrderDraft, facts: Facts) -> str | None:
    """Nothing is authorised after the event. Source: College of Policing APP: authority comes before [P]."""
    return None if draft.ends_at_s > facts.now_s else "the end has already passed"


def is_at_most_twelve_hours(draft: OrderDraft, _facts: Facts) -> str | None:
    """At most 12 h an order, never open-ended. Source: College of Policing APP: time-bound [S]."""
    hours = MAX_ORDER_S // 3600
    too_long = draft.ends_at_s - draft.starts_at_s > MAX_ORDER_S
    return f"an order lasts at most {hours} h" if too_long else None


def deployment_is_new(draft: OrderDraft, facts: Facts) -> str | None:
    """An order is not overwritten by another. Source: EU AI Act 12(3): each use is on record [P]."""
    return f"deployment {draft.deployment_id} already has an order" if facts.known_deployment else None


def deployment_id_is_free_for_keys(draft: OrderDraft, _facts: Facts) -> str | None:
    """A deployment can't be named like a watchlist's key scope: it would be given that key [R]."""
    reserved = draft.deployment_id.startswith((WATCHLIST_SCOPE, PICTURES_SCOPE))
    return "a deployment id must not begin with watchlist. or pictures." if reserved else None


def watchlist_exists(draft: OrderDraft, facts: Facts) -> str | None:
    """An order names a list that is there. Source: Bridges: unlawful because *who* was left open [P]."""
    return None if facts.watchlist is not None else f"there is no watchlist {draft.watchlist_id}"


def watchlist_is_not_empty(draft: OrderDraft, facts: Facts) -> str | None:
    """Looking at everybody for nobody is not necessary. Source: DPA 2018 s.35: strictly necessary [R]."""
    empty = facts.watchlist is not None and facts.watchlist.size == 0
    return f"watchlist {draft.watchlist_id} is empty" if empty else None


def watchlist_is_capped(_draft: OrderDraft, facts: Facts) -> str | None:
    """At most 20,000 entries. Source: published Metropolitan Police lists, 9.7-16.3 thousand [P]."""
    size = 0 if facts.watchlist is None else facts.watchlist.size
    if size <= MAX_WATCHLIST_ENTRIES:
        return None
    return f"the watchlist has {size} entries, the cap is {MAX_WATCHLIST_ENTRIES}"


def watchlist_is_of_the_loaded_pack(_draft: OrderDraft, facts: Facts) -> str | None:
    """Templates of two packs are never compared. Source: ISO/IEC 19795-1: a rate belongs to a system [R]."""
    listed = facts.fingerprint if facts.watchlist is None else facts.watchlist.fingerprint
    if listed == facts.fingerprint:
        return None
    return f"the watchlist was made by pack {listed}, the loaded pack is {facts.fingerprint}"


def watchlist_is_fresh(draft: OrderDraft, facts: Facts) -> str | None:
    """Imported at most 24 h before the start. Source: South Wales Police in Bridges [P]."""
    if facts.watchlist is None or facts.watchlist.size == 0:
        return None
    age_s = draft.starts_at_s - facts.watchlist.oldest_import_s
    if age_s <= MAX_IMPORT_AGE_S:
        return None
    return f"an entry of the watchlist was imported {age_s / 3600:.1f} h before the start, the limit is 24 h"


def threshold_floor(evidence: Calibration, watchlist_size: int) -> float | None:
    """The lowest threshold measured on a list at least this large; None: no list so large was measured.

    The false-positive identification rate grows about linearly with the list, so what was measured on a
    smaller list says too little. Source: NPL 2023 [S]; ISO/IEC 19795-1: FPIR(N, T).
    """
    measured = [p.threshold for p in evidence.points if p.watchlist_size >= watchlist_size]
    return min(measured, default=None)


def fpir_is_shown(false_positives: int, non_mated_searches: int) -> bool:
    """Whether the FPIR is at most 1 in 1,000 with 95 % confidence, so never by having looked at too few.

    Source: at most 1 false alert in 1,000 faces (published deployment records [P]). The bound is the exact
    one-sided one (Clopper and Pearson 1934): 0 false positives in 2,995 searches show it, 0 in 100 do not.
    """
    return upper_bound_95(false_positives, non_mated_searches) <= MAX_FPIR


def fpir_is_refuted(false_positives: int, non_mated_searches: int) -> bool:
    """Whether the FPIR is above 1 in 1,000: the lower end of its exact 95 % interval is.

    Source: as `fpir_is_shown`; by group too, Bridges: the force must satisfy itself about bias [P].
    """
    return interval_95(false_positives, non_mated_searches)[0] > MAX_FPIR


def threshold_has_evidence(draft: OrderDraft, facts: Facts) -> str | None:
    """No threshold below what was tested. Source: Bridges: the force must satisfy itself about bias [P]."""
    floor = facts.threshold_floor
    if floor is None:
        size = 0 if facts.watchlist is None else facts.watchlist.size
        return f"the loaded model pack was never tested on a list of {size} entries or more"
    if floor <= draft.threshold <= 1.0:
        return None
    return f"the threshold is {draft.threshold:.3f}, the evidence begins at {floor:.3f}"


Rule = Callable[[OrderDraft, Facts], str | None]
ORDER_RULES: tuple[Rule, ...] = (
    purpose_is_one_of_five,
    place_is_given,
    cameras_are_given,
    start_is_before_end,
    end_is_ahead,
    is_at_most_twelve_hours,
    deployment_is_new,
    deployment_id_is_free_for_keys,
    watchlist_exists,
    watchlist_is_not_empty,
    watchlist_is_capped,
    watchlist_is_of_the_loaded_pack,
    watchlist_is_fresh,
    threshold_has_evidence,
)


def broken_rules(draft: OrderDraft, facts: Facts) -> tuple[str, ...]:
    """Every reason why `draft` must not become an order; empty when it may."""
    reasons = (rule(draft, facts) for rule in ORDER_RULES)
    return tuple(reason for reason in reasons if reason is not None)


def is_useless(list_facts: WatchlistFacts, now_s: float) -> bool:
    """Whether a list that no running order uses must go: no order could start on it any more.

    Source: watchlists are deleted after the deployment, no later than 24 h (South Wales Police [P]).
    """
    return now_s - list_facts.newest_import_s > MAX_IMPORT_AGE_S


def key_use(scope: str, kind: KeyKind) -> KeyUse | None:
    """What a key of `scope` is used for; None: it never leaves control.

    A list's pictures are opened by control alone; a list has no epochs.
    """
    if scope.startswith(PICTURES_SCOPE):
        return None
    if scope.startswith(WATCHLIST_SCOPE):
        return "watchlist" if kind == "lasting" else None
    return kind


def may_call(caller: str, route: str) -> bool:
    """Whether `caller` may use a route of the API. Deny by default."""
    return caller in ROUTE_ACCESS.get(route, frozenset())


def may_have_key(service: str, scope: str, kind: KeyKind) -> bool:
    """Whether `service` may be given this key. Deny by default."""
    for name, uses in KEY_ACCESS.items():
        if name == service:
            return key_use(scope, kind) in uses
    return False
