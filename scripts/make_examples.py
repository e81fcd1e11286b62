"""Writes the example messages that every later version must go on reading, and those it must refuse.

Run once for each new example: `uv run python scripts/make_examples.py`. What is there is never written again:
an example that this code would make differently today is the reason to keep it. Reasons are written here by
hand, and an example that is not refused with its reason is not written.
"""

import io
import struct
import sys
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import Image

from overt.contracts import events, messages
from overt.contracts.codec import Unreadable, decode, encode
from overt.contracts.orders import SIGNATURE_CONTEXT, Order, OrderRefused, SignedOrder, sign, verify
from overt.contracts.topics import (
    ALERTS,
    AUDIT,
    DEPLOYMENTS,
    FACES,
    FRAMES,
    MATCHES,
    TEMPLATES,
    Topic,
    dead_letter_topic,
)

EXAMPLES = Path(__file__).parents[1] / "libs" / "contracts" / "examples"
DEAD = dead_letter_topic(FRAMES)
# No secret: it signs examples and nothing else. The tests know it too.
EXAMPLE_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
START_S = 1_750_000_000
START_NS = START_S * 1_000_000_000
FINGERPRINT = "5f" * 32
NOT_MSGPACK = b"\xc1\xc1"

Fields = dict[str, Any]  # a message taken apart, to be broken


@dataclass(frozen=True, slots=True)
class Example:
    """One file; `reason` None: it is to be read, else it is to be refused with that text."""

    topic: Topic
    name: str
    value: bytes
    reason: str | None = None


def picture(width_px: int = 16, height_px: int = 16) -> bytes:
    """A JPEG of a grey ramp."""
    ramp = Image.linear_gradient("L").resize((width_px, height_px)).convert("RGB")
    file = io.BytesIO()
    ramp.save(file, "JPEG", quality=50)
    return file.getvalue()


def unit_vector(dimension: int, scale: float = 1.0) -> bytes:
    """A vector of equal parts."""
    return struct.pack(f"<{dimension}f", *[scale / dimension**0.5] * dimension)


def shot(side_px: int = 112) -> messages.Shot:
    """A shot of nobody: flat grey."""
    return messages.Shot(
        camera_id="north-gate",
        track_id="t-17",
        number=1,
        captured_at_ns=START_NS,
        read_at_ns=START_NS + 4_000_000,
        box=messages.Box(600.5, 210.0, 690.25, 330.0),
        landmarks_px=(622.0, 255.5, 665.0, 254.0, 643.5, 280.0, 626.0, 305.0, 661.5, 304.0),
        quality=71,
        crop_side_px=side_px,
        crop_rgb=bytes([128]) * (side_px * side_px * 3),
        portrait_jpeg=picture(),
        context_jpeg=picture(32, 18),
    )


def order(**changes: object) -> Order:
    """An order of two hours."""
    usual = Order(
        deployment_id="dep-1",
        revision=1,
        state="active",
        purpose="crime_hotspot",
        place="Station square, north gate",
        starts_at_s=START_S - 60,
        ends_at_s=START_S + 7_140,
        camera_ids=("north-gate", "south-gate"),
        watchlist_id="list-1",
        watchlist_size=12,
        fingerprint=FINGERPRINT,
        threshold=0.42,
        issued_at_s=START_S - 600,
    )
    return msgspec.structs.replace(usual, **changes)


FRAME = messages.FrameCaptured(
    "dep-1", "north-gate", 42, START_NS, START_NS + 4_000_000, live=True, width_px=32, height_px=18,
    jpeg=picture(32, 18),
)  # fmt: skip
ENDED = messages.CaptureEnded("dep-1", "north-gate", START_NS)
FOUND = messages.FaceFound("dep-1", FINGERPRINT, shot())
MADE = messages.TemplateMade("dep-1", FINGERPRINT, 128, unit_vector(128), shot())
FUSED = msgspec.structs.replace(MADE, fused=unit_vector(128))
CHECKED = msgspec.structs.replace(shot(), presentation=messages.Presentation(looks=7, flagged=True))
CANDIDATES = (messages.Candidate("entry-3", 0.71), messages.Candidate("entry-9", 0.42))
MATCH = messages.MatchMade("dep-1", "list-1", FINGERPRINT, 0.42, CANDIDATES, "0a" * 32, shot())
HEAD = messages.AuditHead("main", 1_204, "c3" * 32, START_NS)
LETTER = messages.DeadLetter("frames.v1", 3, 1_048, "not msgpack", 64, "7e" * 32, b"OV1\x01k" + bytes(59))
EVENT: tuple[str, str, int, int, Literal[1]] = ("alert-1", "dep-1", 1, START_NS, 1)
RAISED = events.AlertRaised(
    *EVENT, "entry-3", "list-1", "north-gate", START_NS - 210_000_000, 0.71, 0.42, "/alerts/alert-1"
)
STRONGER = events.AlertStrengthened(*EVENT, 0.78)
ESCALATED = events.AlertEscalated(*EVENT, 1)
JUDGED = events.JudgementMade(*EVENT, 1, "awaiting_second")
OUTCOME = events.OutcomeRecorded(*EVENT, "confirmed_true", "no_action")
SIGNED = sign(order(), EXAMPLE_KEY)

GOOD: tuple[tuple[Topic, str, msgspec.Struct], ...] = (
    (FRAMES, "live", FRAME),
    (FRAMES, "file", msgspec.structs.replace(FRAME, live=False, sequence=0, captured_at_ns=START_NS + 1)),
    (FRAMES, "plain", ENDED),
    (FACES, "side_112", FOUND),
    (FACES, "side_160", messages.FaceFound("dep-1", FINGERPRINT, shot(160))),
    (FACES, "presentation", msgspec.structs.replace(FOUND, shot=CHECKED)),
    (TEMPLATES, "of_128", MADE),
    (TEMPLATES, "fused", FUSED),
    (TEMPLATES, "of_512", messages.TemplateMade("dep-1", FINGERPRINT, 512, unit_vector(512), shot())),
    (MATCHES, "two_candidates", MATCH),
    (MATCHES, "presentation", msgspec.structs.replace(MATCH, shot=CHECKED)),
    (ALERTS, "plain", RAISED),
    (ALERTS, "plain", STRONGER),
    (ALERTS, "first", ESCALATED),
    (ALERTS, "first", JUDGED),
    (ALERTS, "third", events.JudgementMade("alert-1", "dep-1", 5, START_NS, 1, 3, "judged_true")),
    (ALERTS, "plain", OUTCOME),
    (DEPLOYMENTS, "active", SIGNED),
    (DEPLOYMENTS, "stopped", sign(order(state="stopped", revision=2), EXAMPLE_KEY)),
    (DEPLOYMENTS, "ended", sign(order(state="ended", revision=3), EXAMPLE_KEY)),
    (AUDIT, "plain", HEAD),
    (DEAD, "sealed", LETTER),
    (DEAD, "not_copied", msgspec.structs.replace(LETTER, reason="payload is not sealed", value=None)),
)


def stem(message: msgspec.Struct) -> str:
    """The tag without its version: what the names of a message's examples begin with."""
    return str(message.__struct_config__.tag).removesuffix(".v1")


def broken(message: msgspec.Struct, changes: Fields) -> Fields:
    """Take `message` apart and change fields, `a.b` within another; a value of None takes the field away."""
    fields: Fields = deepcopy(msgspec.to_builtins(message, builtin_types=(bytes,)))
    for path, value in changes.items():
        *parents, name = path.split(".")
        inner = fields
        for parent in parents:
            inner = inner[parent]
        if value is None:
            del inner[name]
        else:
            inner[name] = value
    return fields


def pack(topic: Topic, fields: Fields) -> bytes:
    """Encode fields as they are, unchecked."""
    return msgspec.json.encode(fields) if topic.encoding == "json" else msgspec.msgpack.encode(fields)


def usual_mistakes(topic: Topic, message: msgspec.Struct) -> Iterator[Example]:
    """What can be wrong with any message."""
    last = next(field.name for field in reversed(msgspec.structs.fields(message)) if field.required)
    missing = f"invalid: Object missing required field `{last}`"
    mistakes: tuple[tuple[str, Fields, str], ...] = (
        ("unknown_field", {"surname": "x"}, "invalid: Object contains an unknown field"),
        ("missing_field", {last: None}, missing),
        ("wrong_tag", {"type": "face_lost.v1"}, "invalid: Value is none of the allowed ones - at `$.type`"),
        ("no_tag", {"type": None}, "invalid: Object missing required field `type`"),
    )
    for name, changes, reason in mistakes:
        yield Example(topic, f"{stem(message)}.{name}", pack(topic, broken(message, changes)), reason)
    whole = encode(topic, message)
    yield Example(topic, f"{stem(message)}.cut_short", whole[:-1], f"not {topic.encoding}")


MESSAGES: tuple[tuple[Topic, msgspec.Struct], ...] = (
    (FRAMES, FRAME), (FRAMES, ENDED), (FACES, FOUND), (TEMPLATES, MADE), (MATCHES, MATCH),
    (ALERTS, RAISED), (ALERTS, STRONGER), (ALERTS, ESCALATED), (ALERTS, JUDGED), (ALERTS, OUTCOME),
    (DEPLOYMENTS, SIGNED), (AUDIT, HEAD), (DEAD, LETTER),
)  # fmt: skip
IDENTIFIER = r"invalid: Expected `str` matching regex '^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$(?!\\n)' - at "
UNIT = "invalid: template is not a finite unit vector"
ALLOWED = "invalid: Value is none of the allowed ones - at "
LINK = r"invalid: Expected `str` matching regex '^(https?://|/(?!/))[!-~]*$(?!\\n)' - at `$.link`"
LOW = {"entry_id": "entry-3", "similarity": 0.41}

# What can be wrong with one message alone: (topic, message, name, changes, reason).
OWN_MISTAKES: tuple[tuple[Topic, msgspec.Struct, str, Fields, str], ...] = (
    (FRAMES, FRAME, "wrong_type", {"live": "yes"}, "invalid: Expected `bool`, got `str` - at `$.live`"),
    (FRAMES, FRAME, "no_jpeg", {"jpeg": b"RIFF\0\0\0\0WEBP"}, "invalid: frame picture is no JPEG"),
    (FRAMES, FRAME, "jpeg_cut_short", {"jpeg": FRAME.jpeg[:-40]}, "invalid: frame picture is no JPEG"),
    (FRAMES, FRAME, "jpeg_without_header", {"jpeg": b"\xff\xd8\xff\xda\0\x08" + bytes(9) + b"\xff\xd9"},
     "invalid: frame picture has no frame header"),
    (FRAMES, FRAME, "other_size", {"jpeg": picture(48, 32)}, "invalid: frame picture is 48 x 32, not 32 x 18"),
    (FRAMES, FRAME, "too_wide", {"width_px": 30_000}, "invalid: Expected `int` <= 8192 - at `$.width_px`"),
    (FRAMES, FRAME, "before_time", {"captured_at_ns": -1},
     "invalid: Expected `int` >= 0 - at `$.captured_at_ns`"),
    (FRAMES, FRAME, "bad_identifier", {"camera_id": "../north"}, f"{IDENTIFIER}`$.camera_id`"),
    (FRAMES, ENDED, "bad_identifier", {"deployment_id": ""}, f"{IDENTIFIER}`$.deployment_id`"),
    (FRAMES, ENDED, "identifier_with_line_break", {"camera_id": "north\n"}, f"{IDENTIFIER}`$.camera_id`"),
    (FRAMES, ENDED, "identifier_too_long", {"camera_id": "n" * 65}, f"{IDENTIFIER}`$.camera_id`"),
    (FRAMES, ENDED, "time_beyond_64_bits", {"captured_at_ns": 2**63},
     "invalid: Expected `int` <= 9223372036854775807 - at `$.captured_at_ns`"),
    (FACES, FOUND, "wrong_type", {"shot.quality": 71.5}, "invalid: Expected `int`, got `float` - at `$.shot.quality`"),
    (FACES, FOUND, "unknown_field_in_shot", {"shot.age": 31}, "invalid: Object contains an unknown field"),
    (FACES, FOUND, "presentation_of_no_look", {"shot.presentation": {"looks": 0, "flagged": False}},
     "invalid: Expected `int` >= 1 - at `$.shot.presentation.looks`"),
    (FACES, FOUND, "crop_of_wrong_size", {"shot.crop_rgb": bytes(100)},
     "invalid: crop must have 37632 bytes, has 100 - at `$.shot`"),
    (FACES, FOUND, "crop_of_wrong_side", {"shot.crop_side_px": 96, "shot.crop_rgb": bytes(27_648)},
     "invalid: crop side must be one of (112, 160), is 96 - at `$.shot`"),
    (FACES, FOUND, "empty_box", {"shot.box.right": 600.5}, "invalid: box is empty - at `$.shot.box`"),
    (FACES, FOUND, "endless_box", {"shot.box.top": float("-inf")},
     "invalid: box is not finite - at `$.shot.box`"),
    (FACES, FOUND, "landmark_is_nan", {"shot.landmarks_px": [float("nan"), *[1.0] * 9]},
     "invalid: landmarks are not finite - at `$.shot`"),
    (FACES, FOUND, "four_landmarks", {"shot.landmarks_px": [1.0] * 8},
     "invalid: Expected `array` of length 10, got 8 - at `$.shot.landmarks_px`"),
    (FACES, FOUND, "sixth_shot", {"shot.number": 6}, "invalid: Expected `int` <= 5 - at `$.shot.number`"),
    (FACES, FOUND, "portrait_is_no_jpeg", {"shot.portrait_jpeg": b"GIF89a"},
     "invalid: portrait picture is no JPEG - at `$.shot`"),
    (FACES, FOUND, "no_context", {"shot.context_jpeg": b""}, "invalid: context picture is no JPEG - at `$.shot`"),
    (FACES, FOUND, "bad_fingerprint", {"fingerprint": "5F" * 32},
     r"invalid: Expected `str` matching regex '^[0-9a-f]{64}$(?!\\n)' - at `$.fingerprint`"),
    (TEMPLATES, MADE, "not_unit", {"template": unit_vector(128, 1.01)}, UNIT),
    (TEMPLATES, FUSED, "fused_not_unit", {"fused": unit_vector(128, 1.01)}, UNIT),
    (TEMPLATES, FUSED, "fused_of_another_size", {"fused": unit_vector(127)},
     "invalid: template must have 512 bytes, has 508"),
    (TEMPLATES, MADE, "zero", {"template": bytes(512)}, UNIT),
    (TEMPLATES, MADE, "nan", {"template": struct.pack("<f", float("nan")) + bytes(508)}, UNIT),
    (TEMPLATES, MADE, "infinite", {"template": struct.pack("<f", float("inf")) + bytes(508)}, UNIT),
    (TEMPLATES, MADE, "wrong_size", {"template": unit_vector(127)},
     "invalid: template must have 512 bytes, has 508"),
    (TEMPLATES, MADE, "other_dimension", {"dimension": 512}, "invalid: template must have 2048 bytes, has 512"),
    (TEMPLATES, MADE, "huge_dimension", {"dimension": 2**31},
     "invalid: Expected `int` <= 2048 - at `$.dimension`"),
    (TEMPLATES, MADE, "floats_in_a_list", {"template": [0.5] * 4},
     "invalid: Expected `bytes`, got `array` - at `$.template`"),
    (MATCHES, MATCH, "below_threshold", {"candidates": [LOW]}, "invalid: a candidate is below the threshold"),
    (MATCHES, MATCH, "threshold_is_nan", {"threshold": float("nan")},
     "invalid: Expected `float` >= -1.0 - at `$.threshold`"),
    (MATCHES, MATCH, "similarity_as_percentage", {"candidates": [{"entry_id": "entry-3", "similarity": 71.0}]},
     "invalid: Expected `float` <= 1.0 - at `$.candidates[0].similarity`"),
    (MATCHES, MATCH, "nobody", {"candidates": []}, "invalid: Expected `array` of length >= 1 - at `$.candidates`"),
    (MATCHES, MATCH, "out_of_order", {"candidates": [*map(msgspec.to_builtins, CANDIDATES[::-1])]},
     "invalid: candidates are not ordered by similarity"),
    (MATCHES, MATCH, "named_twice", {"candidates": [msgspec.to_builtins(CANDIDATES[0])] * 2},
     "invalid: a candidate is named twice"),
    (MATCHES, MATCH, "a_name_for_an_entry", {"candidates": [{"entry_id": "J. Doe", "similarity": 0.5}]},
     f"{IDENTIFIER}`$.candidates[0].entry_id`"),
    (ALERTS, RAISED, "other_version", {"version": 2}, f"{ALLOWED}`$.version`"),
    (ALERTS, RAISED, "wrong_type", {"similarity": "71 %"},
     "invalid: Expected `float`, got `str` - at `$.similarity`"),
    (ALERTS, RAISED, "carries_a_picture", {"probe_jpeg": "/9j/4AAQ"}, "invalid: Object contains an unknown field"),
    (ALERTS, RAISED, "picture_as_link", {"link": "data:image/jpeg;base64,/9j/4AAQ"}, LINK),
    (ALERTS, STRONGER, "other_version", {"version": 0}, f"{ALLOWED}`$.version`"),
    (ALERTS, STRONGER, "version_as_text", {"version": "1"}, "invalid: Expected `int`, got `str` - at `$.version`"),
    (ALERTS, STRONGER, "sequence_from_zero", {"sequence": 0}, "invalid: Expected `int` >= 1 - at `$.sequence`"),
    (ALERTS, ESCALATED, "times_from_zero", {"times": 0}, "invalid: Expected `int` >= 1 - at `$.times`"),
    (ALERTS, JUDGED, "other_version", {"version": 2}, f"{ALLOWED}`$.version`"),
    (ALERTS, JUDGED, "tells_the_verdict", {"verdict": "true_alert"}, "invalid: Object contains an unknown field"),
    (ALERTS, JUDGED, "unknown_state", {"state": "muted"}, f"{ALLOWED}`$.state`"),
    (ALERTS, JUDGED, "fourth_judgement", {"ordinal": 4}, "invalid: Expected `int` <= 3 - at `$.ordinal`"),
    (ALERTS, OUTCOME, "other_version", {"version": 2}, f"{ALLOWED}`$.version`"),
    (ALERTS, OUTCOME, "unknown_outcome", {"outcome": "stop_and_search"}, f"{ALLOWED}`$.outcome`"),
    (AUDIT, HEAD, "bad_hash", {"hash": "c3"},
     r"invalid: Expected `str` matching regex '^[0-9a-f]{64}$(?!\\n)' - at `$.hash`"),
    (AUDIT, HEAD, "wrong_type", {"length": 1204.0}, "invalid: Expected `int`, got `float` - at `$.length`"),
    (DEPLOYMENTS, SIGNED, "short_signature", {"signature": bytes(63)},
     "invalid: Expected `bytes` of length >= 64 - at `$.signature`"),
    (DEPLOYMENTS, SIGNED, "huge_order", {"order_json": b" " * 32_001},
     "invalid: Expected `bytes` of length <= 32000 - at `$.order_json`"),
    (DEPLOYMENTS, SIGNED, "forged", {"signature": bytes(64)}, "the signature is not control's"),
    (DEPLOYMENTS, SIGNED, "changed_after_signing",
     {"order_json": SIGNED.order_json.replace(b"0.42", b"0.12")}, "the signature is not control's"),
    (DEAD, LETTER, "long_reason", {"reason": "x" * 501}, "invalid: Expected `str` of length <= 500 - at `$.reason`"),
)  # fmt: skip

# What can be wrong with an order that control did sign: (name, changes, reason).
MALFORMED = "the order is malformed: "
ORDER_MISTAKES: tuple[tuple[str, Fields, str], ...] = (
    ("order_too_long", {"ends_at_s": START_S - 60 + 12 * 3600 + 1},
     "invalid: an order lasts more than 0 and at most 43200 s"),
    ("order_ends_before_it_starts", {"ends_at_s": START_S - 61},
     "invalid: an order lasts more than 0 and at most 43200 s"),
    ("order_without_end", {"ends_at_s": None}, "invalid: Object missing required field `ends_at_s`"),
    ("order_unknown_field", {"covert": True}, "invalid: Object contains an unknown field"),
    ("order_unknown_purpose", {"purpose": "trial"}, f"{ALLOWED}`$.purpose`"),
    ("order_unknown_state", {"state": "paused"}, f"{ALLOWED}`$.state`"),
    ("order_without_camera", {"camera_ids": []},
     "invalid: Expected `array` of length >= 1 - at `$.camera_ids`"),
    ("order_camera_twice", {"camera_ids": ["north-gate"] * 2}, "invalid: a camera is named twice"),
    ("order_nowhere", {"place": ""}, "invalid: Expected `str` of length >= 1 - at `$.place`"),
    ("order_threshold_above_one", {"threshold": 42.0}, "invalid: Expected `float` <= 1.0 - at `$.threshold`"),
    ("order_list_too_large", {"watchlist_size": 20_001},
     "invalid: Expected `int` <= 20000 - at `$.watchlist_size`"),
)  # fmt: skip


def bad_orders() -> Iterator[Example]:
    """Signed as they should be, and still not to be obeyed."""
    bodies = [
        (name, msgspec.json.encode(broken(order(), changes)), MALFORMED + why)
        for name, changes, why in ORDER_MISTAKES
    ]
    bodies.append(("order_not_json", b"deploy!", MALFORMED + "not json"))
    bodies.append(("order_not_utf8", b'{"place": "\xff"}', MALFORMED + "invalid: a text is not UTF-8"))
    for name, body, reason in bodies:
        signed = SignedOrder(order_json=body, signature=EXAMPLE_KEY.sign(SIGNATURE_CONTEXT + body))
        yield Example(DEPLOYMENTS, f"signed_order.{name}", encode(DEPLOYMENTS, signed), reason)


def examples() -> Iterator[Example]:
    """Every example that this code knows how to make."""
    for topic, name, message in GOOD:
        yield Example(topic, f"{stem(message)}.{name}", encode(topic, message))
    for topic, message in MESSAGES:
        yield from usual_mistakes(topic, message)
        yield Example(topic, f"{stem(message)}.empty", b"", f"not {topic.encoding}")
        yield Example(topic, f"{stem(message)}.something_else", NOT_MSGPACK, f"not {topic.encoding}")
    for topic, message, name, changes, reason in OWN_MISTAKES:
        yield Example(topic, f"{stem(message)}.{name}", pack(topic, broken(message, changes)), reason)
    yield from bad_orders()


def refusal(example: Example) -> str | None:
    """Why the codec, or whoever verifies an order, refuses `example`; None if it is accepted."""
    try:
        message = decode(example.topic, example.value)
        if isinstance(message, SignedOrder):
            verify(message, EXAMPLE_KEY.public_key())
    except (Unreadable, OrderRefused) as error:
        return str(error)
    return None


def write(folder: Path) -> tuple[int, int]:
    """Write what is missing below `folder`; return how many were written and how many were there.

    Raises ValueError for an example that is not read or refused as it says.
    """
    written = kept = 0
    for example in examples():
        kind = "good" if example.reason is None else "bad"
        path = folder / example.topic.name.replace(".v", "/v") / kind / example.name
        path = path.with_name(f"{path.name}.{example.topic.encoding}")
        if path.exists():
            kept += 1
            continue
        if (found := refusal(example)) != example.reason:
            raise ValueError(f"{path.name}: expected {example.reason!r}, found {found!r}")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(example.value)
        if example.reason is not None:
            path.with_suffix(".reason").write_text(example.reason + "\n")
        written += 1
    return written, kept


if __name__ == "__main__":
    new, old = write(EXAMPLES)
    sys.stderr.write(f"{new} examples written, {old} kept as they were\n")
