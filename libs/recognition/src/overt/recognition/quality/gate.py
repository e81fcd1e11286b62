"""What a face must be to be enrolled, and to be searched for; and why it is refused, in words."""

from collections.abc import Callable
from dataclasses import dataclass

from overt.recognition.quality.assessment import Components, Quality


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that is asked of a look: `value` of it at least the limit, or with `at_most` no more."""

    name: str
    value: Callable[[Components], float]
    enrolment: float
    probe: float
    reason: Callable[[float, float], str]
    at_most: bool = False

    def refusal(self, components: Components, limit: float) -> str | None:
        """Return why `components` break this rule at `limit`, or None."""
        value = self.value(components)
        # Also false for a value that is no number: what can't be measured is not good enough.
        kept = value <= limit if self.at_most else value >= limit
        return None if kept else self.reason(value, limit)


def _small(value: float, limit: float) -> str:
    return f"face too small: {value:.0f} px between the eyes, at least {limit:.0f} needed"


def _degrees(what: str) -> Callable[[float, float], str]:
    return lambda value, limit: f"{what}: about {value:.0f} degrees, at most {limit:.0f}"


def _plainly(reason: str) -> Callable[[float, float], str]:
    return lambda _value, _limit: reason


PROBE_EYE_DISTANCE_PX = 10.0
# A probe may be poor: a wrong match is held off by the threshold, a lost one is lost for good. A reference is
# compared with everybody who passes: a poor one raises false alerts all day, and there is time to take another
# picture. What each limit turns away is in docs/recognition.md (benchmarks/quality.py).
RULES: tuple[Rule, ...] = (
    Rule("inter_eye_distance_px", lambda c: c.inter_eye_distance_px, 20.0, PROBE_EYE_DISTANCE_PX, _small),
    Rule("margin", lambda c: c.margin, 0.90, 0.75, _plainly("face cut off by the border of the picture")),
    Rule("yaw_deg", lambda c: abs(c.yaw_deg), 35.0, 60.0, _degrees("face turned to the side"), at_most=True),
    Rule(
        "pitch_deg", lambda c: abs(c.pitch_deg), 35.0, 50.0, _degrees("face turned up or down"), at_most=True
    ),
    Rule("roll_deg", lambda c: abs(c.roll_deg), 45.0, 75.0, _degrees("head tilted"), at_most=True),
    Rule(
        "under_exposure_prevention",
        lambda c: c.under_exposure_prevention,
        0.60,
        0.01,
        _plainly("face too dark"),
    ),
    Rule(
        "over_exposure_prevention",
        lambda c: c.over_exposure_prevention,
        0.80,
        0.20,
        _plainly("face too bright"),
    ),
    Rule("dynamic_range", lambda c: c.dynamic_range, 0.65, 0.40, _plainly("face without contrast")),
    Rule("sharpness", lambda c: c.sharpness, 0.14, 0.08, _plainly("face blurred")),
    Rule("eyes_visible", lambda c: c.eyes_visible, 0.05, 0.005, _plainly("eyes covered or in shadow")),
    Rule("mouth_visible", lambda c: c.mouth_visible, 0.20, 0.01, _plainly("mouth or nose covered")),
)


def enrolment_refusals(quality: Quality) -> tuple[str, ...]:
    """Return every reason why a face can't be enrolled, in words for an officer; none if it can."""
    reasons = (rule.refusal(quality.components, rule.enrolment) for rule in RULES)
    return tuple(reason for reason in reasons if reason is not None)


def probe_ok(quality: Quality) -> bool:
    """Tell whether a face is good enough to be searched for."""
    return all(rule.refusal(quality.components, rule.probe) is None for rule in RULES)
