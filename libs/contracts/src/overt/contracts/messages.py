"""Every message on every internal topic; `events.py` has the public ones of `alerts.v1`.

Shapes: pictures are JPEG bytes; an aligned crop is raw RGB, uint8, rows x columns x 3; a template is D
float32 values, little-endian. Times are UNIX nanoseconds, UTC. A tag names its version: what has to change
incompatibly gets a new tag beside the old one, whose examples must decode for ever.
"""

import math
import struct
from typing import Annotated

import msgspec

from overt.contracts.pictures import jpeg_size_px, require_jpeg

# A database's integers are signed and have 64 bits: a larger one would be a record that can't be stored.
MAX_INTEGER = 2**63 - 1
# An 8K picture; a decoder needs 200 MB for it.
MAX_SIDE_PX = 8192

# `$` alone would let a line break stand at the end; `(?!\n)` means the same to JSON Schema's regex dialect.
Identifier = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$(?!\n)")]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
Fingerprint = Sha256
Pixels = Annotated[int, msgspec.Meta(ge=1, le=MAX_SIDE_PX)]
Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_INTEGER)]
Nanoseconds = Count
# A cosine of two float32 vectors can come out above 1 by rounding: clamp it where it is computed.
Cosine = Annotated[float, msgspec.Meta(ge=-1.0, le=1.0)]

CROP_SIDES_PX = (112, 160)
MAX_TEMPLATE_DIMENSION = 2048
UNIT_NORM_TOLERANCE = 1e-3


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type"):
    """What every message shares: it names the deployment under whose order it exists.

    Raises ValueError on construction and on decoding when a field contradicts another.
    """

    deployment_id: Identifier


class FrameCaptured(Message, frozen=True, tag="frame_captured.v1"):
    """One sampled picture of a camera.

    `captured_at_ns` is the capture clock: wall time for a live camera, start plus presentation time for a
    file. `read_at_ns` is when it was decoded: latency and freshness are measured from it.
    """

    camera_id: Identifier
    sequence: Count
    captured_at_ns: Nanoseconds
    read_at_ns: Nanoseconds
    live: bool
    width_px: Pixels
    height_px: Pixels
    jpeg: bytes

    def __post_init__(self) -> None:
        """Refuse what is no JPEG of the size it is said to have."""
        require_jpeg(self.jpeg, "frame")
        size_px = jpeg_size_px(self.jpeg)
        if size_px is None:
            raise ValueError("frame picture has no frame header")
        if size_px != (self.width_px, self.height_px):
            raise ValueError(
                f"frame picture is {size_px[0]} x {size_px[1]}, not {self.width_px} x {self.height_px}"
            )


class CaptureEnded(Message, frozen=True, tag="capture_ended.v1"):
    """A camera's stream ended: whatever waits for a better shot is to be sent now."""

    camera_id: Identifier
    captured_at_ns: Nanoseconds


class Box(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rectangle in pixels of the full picture."""

    left: float
    top: float
    right: float
    bottom: float

    def __post_init__(self) -> None:
        """Refuse an empty or endless box."""
        if not all(map(math.isfinite, (self.left, self.top, self.right, self.bottom))):
            raise ValueError("box is not finite")
        if self.right <= self.left or self.bottom <= self.top:
            raise ValueError("box is empty")


class Presentation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a passive check of one track says so far: may it be a picture of a face, printed or on a screen?

    `looks` is how many looks it rests on. Shown to who judges, with its measured error rates; nothing is
    decided by it (ISO/IEC 30107-3: presentation attack detection).
    """

    looks: Annotated[int, msgspec.Meta(ge=1, le=MAX_INTEGER)]
    flagged: bool


class Shot(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One good look at one face: what detect hands on, and what an alert may later show.

    `track_id` means something within one camera for the seconds a face is in view, and nothing after.
    `landmarks_px` are x, y of right eye, left eye, nose, right and left mouth corner in the full picture.
    In `portrait_jpeg` (the face with some surroundings) and `context_jpeg` every other face is blurred.
    `presentation` None: too few looks to say anything.
    """

    camera_id: Identifier
    track_id: Identifier
    number: Annotated[int, msgspec.Meta(ge=1, le=5)]
    captured_at_ns: Nanoseconds
    read_at_ns: Nanoseconds
    box: Box
    landmarks_px: tuple[float, float, float, float, float, float, float, float, float, float]
    quality: Annotated[int, msgspec.Meta(ge=0, le=100)]
    crop_side_px: Pixels
    crop_rgb: bytes
    portrait_jpeg: bytes
    context_jpeg: bytes
    presentation: Presentation | None = None

    def __post_init__(self) -> None:
        """Refuse a crop of the wrong size and pictures that are none."""
        if self.crop_side_px not in CROP_SIDES_PX:
            raise ValueError(f"crop side must be one of {CROP_SIDES_PX}, is {self.crop_side_px}")
        expected = self.crop_side_px * self.crop_side_px * 3
        if len(self.crop_rgb) != expected:
            raise ValueError(f"crop must have {expected} bytes, has {len(self.crop_rgb)}")
        if not all(map(math.isfinite, self.landmarks_px)):
            raise ValueError("landmarks are not finite")
        require_jpeg(self.portrait_jpeg, "portrait")
        require_jpeg(self.context_jpeg, "context")


class FaceFound(Message, frozen=True, tag="face_found.v1"):
    """A face was found and this is a shot worth a template. `fingerprint` is the pack that aligned it."""

    fingerprint: Fingerprint
    shot: Shot


class TemplateMade(Message, frozen=True, omit_defaults=True, tag="template_made.v1"):
    """The template of one shot: `dimension` float32 values, little-endian, of unit length.

    `fused` is the same for its track, all shots up to this one taken together; None for a first shot, and for
    one that is unlike those before it.
    """

    fingerprint: Fingerprint
    dimension: Annotated[int, msgspec.Meta(ge=1, le=MAX_TEMPLATE_DIMENSION)]
    template: bytes
    shot: Shot
    fused: bytes | None = None

    def __post_init__(self) -> None:
        """Refuse a template that is not a finite unit vector of its size."""
        require_unit_vector(self.template, self.dimension)
        if self.fused is not None:
            require_unit_vector(self.fused, self.dimension)


class Candidate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A watchlist entry at or above the threshold. `similarity` is never a probability.

    It is a cosine; from a track's second look on the mean of two, that of the look and that of its track.
    """

    entry_id: Identifier
    similarity: Cosine


class MatchMade(Message, frozen=True, tag="match_made.v1"):
    """One probe matched one entry or more; the first candidate is the best and the one alerted on.

    `probe_hash` is the sealed hash of the matched input that the audit keeps (EU AI Act 12(3)).
    """

    watchlist_id: Identifier
    fingerprint: Fingerprint
    threshold: Cosine
    candidates: Annotated[tuple[Candidate, ...], msgspec.Meta(min_length=1, max_length=20)]
    probe_hash: Sha256
    shot: Shot

    def __post_init__(self) -> None:
        """Refuse candidates below the threshold, out of order or named twice."""
        similarities = [candidate.similarity for candidate in self.candidates]
        # Not `any(… < threshold)`: nothing is at or above a threshold that is no number.
        if not all(similarity >= self.threshold for similarity in similarities):
            raise ValueError("a candidate is below the threshold")
        if similarities != sorted(similarities, reverse=True):
            raise ValueError("candidates are not ordered by similarity")
        if len({candidate.entry_id for candidate in self.candidates}) < len(self.candidates):
            raise ValueError("a candidate is named twice")


class AuditHead(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="audit_head.v1"
):
    """The newest link of an audit chain, published so that a cut tail can be noticed."""

    chain_id: Identifier
    length: Count
    hash: Sha256
    at_ns: Nanoseconds


class DeadLetter(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="dead_letter.v1"
):
    """A record that could not be read, where it stood, and why.

    `value` is kept only when it was sealed: a face in the clear is not copied anywhere. `size_bytes` and
    `sha256` always say what it was.
    """

    topic: str
    partition: Count
    offset: Count
    reason: Annotated[str, msgspec.Meta(max_length=500)]
    size_bytes: Count
    sha256: Sha256
    value: bytes | None


def require_unit_vector(template: bytes, dimension: int) -> None:
    """Raise ValueError unless `template` holds `dimension` finite float32 values of unit length."""
    if len(template) != 4 * dimension:
        raise ValueError(f"template must have {4 * dimension} bytes, has {len(template)}")
    values = struct.unpack(f"<{dimension}f", template)
    norm = math.sqrt(math.fsum(value * value for value in values))
    if not math.isfinite(norm) or abs(norm - 1.0) > UNIT_NORM_TOLERANCE:
        raise ValueError("template is not a finite unit vector")
