"""What a face must be to be enrolled, and to be searched for; and why it is refused, in words."""

from collections.abc import Callable
from dataclasses import dataclass

from overt.recognition.quality.assessment import Components, Quality


@dataclass(frozen=True, slots=True)
class Rule:
    """What is asked of the component `name`: at least the limit, or with `at_most` no more, to either side.

    probe: None where nothing is asked of a probe.
    """

    name: str
    enrolment: float
    probe: float | None
    reason: Callable[[float, float], str]
    at_most: bool = False

    def refusal(self, components: Components, limit: float | None) -> str | None:
        """Return why `components` break this rule at `limit`, or None."""
        if limit is None:
            return None
        value = abs(float(getattr(components, self.name)))
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
# A probe may be poor: a wrong match is held off by the threshold, a lost one is lost for good. So nothing is asked
# of it that would turn away faces which are recognised all the same, as half of the masked ones are. A reference is
# compared with everybody who passes: a poor one raises false alerts all day, and there is time for another
# picture. What each limit turns away: docs/recognition.md (benchmarks/quality.py, benchmarks/occlusion.py).
RULES: tuple[Rule, ...] = (
    Rule("inter_eye_distance_px", 20.0, PROBE_EYE_DISTANCE_PX, _small),
    Rule("margin", 0.90, 0.75, _plainly("face cut off by the border of the picture")),
    Rule("yaw_deg", 35.0, 60.0, _degrees("face turned to the side"), at_most=True),
    Rule("pitch_deg", 35.0, 50.0, _degrees("face turned up or down"), at_most=True),
    Rule("roll_deg", 45.0, 75.0, _degrees("head tilted"), at_most=True),
    Rule("under_exposure_prevention", 0.60, None, _plainly("face too dark")),
    Rule("over_exposure_prevention", 0.80, 0.20, _plainly("face too bright")),
    Rule("dynamic_range", 0.65, 0.40, _plainly("face without contrast")),
    Rule("sharpness", 0.14, 0.06, _plainly("face blurred")),
    Rule("eyes_visible", 0.05, None, _plainly("eyes covered or in shadow")),
    Rule("mouth_visible", 0.20, None, _plainly("mouth or nose covered")),
)


# Whether something is covered can't be told in the dark or in a blur: to say so would send the photographer wrong.
TELL_NOTHING = frozenset(
    {"under_exposure_prevention", "over_exposure_prevention", "dynamic_range", "sharpness"}
)
COVERED = frozenset({"eyes_visible", "mouth_visible"})


def enrolment_refusals(quality: Quality) -> tuple[str, ...]:
    """Return every reason why a face can't be enrolled, in words for an officer; none if it can."""
    found = {rule.name: rule.refusal(quality.components, rule.enrolment) for rule in RULES}
    unclear = any(found[name] is not None for name in TELL_NOTHING)
    return tuple(
        reason for name, reason in found.items() if reason is not None and not (unclear and name in COVERED)
    )


def probe_ok(quality: Quality) -> bool:
    """Tell whether a face is good enough to be searched for."""
    return all(rule.refusal(quality.components, rule.probe) is None for rule in RULES)
