"""How good one look at a face is, in the terms of ISO/IEC 29794-5, and why a picture can't be enrolled.

Quality chooses between looks and turns pictures away; no template depends on it, and no fingerprint covers it.
"""

from overt.recognition.quality.assessment import PARTS, Components, Part, Quality, assess, unified_score
from overt.recognition.quality.gate import PROBE_EYE_DISTANCE_PX, RULES, Rule, enrolment_refusals, probe_ok

__all__ = [
    "PARTS",
    "PROBE_EYE_DISTANCE_PX",
    "RULES",
    "Components",
    "Part",
    "Quality",
    "Rule",
    "assess",
    "enrolment_refusals",
    "probe_ok",
    "unified_score",
]
