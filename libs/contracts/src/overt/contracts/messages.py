"""Every message on every internal topic; `events.py` has the public ones of `alerts.v1`.

Shapes: pictures are JPEG bytes; an aligned crop is raw RGB, uint8, rows x columns x 3; a template is D
float32 values, little-endian. Times are UNIX nanoseconds, UTC.
"""

import math
import struct
from typing import Annotated

import msgspec

Identifier = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Fingerprint = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
Positive = Annotated[int, msgspec.Meta(ge=1, le=32_768)]
Nanoseconds = Annotated[int, msgspec.Meta(ge=0)]
Cosine = Annotated[float, msgspec.Meta(ge=-1.0, le=1.0)]

MAX_JPEG_BYTES = 8_000_000
CROP_SIDES_PX = (112, 160)
MAX_TEMPLATE_DIMENSION = 2048
UNIT_NORM_TOLERANCE = 1e-3


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type"):
    """What every message shares: it names the deployment under whose order it exists.

    Raises ValueError on construction and on decoding when a field contradicts another.
    """

    deployment_id: Identifier


class FrameCaptured(Message, frozen=True, tag="frame_captured"):
    """One sampled picture of a camera.

    `captured_at_ns` is the capture clock: wall time for a live camera, start plus presentation time for a
    file. `read_at_ns` is when it was decoded: latency and freshness are measured from it.
    """

    camera_id: Identifier
    sequence: Annotated[int, msgspec.Meta(ge=0)]
    captured_at_ns: Nanoseconds
    read_at_ns: Nanoseconds
    live: bool
    width_px: Positive
    height_px: Positive
    jpeg: bytes

    def __post_init__(self) -> None:
        """Refuse what is no JPEG of a sensible size."""
        require_jpeg(self.jpeg, "frame")


class CaptureEnded(Message, frozen=True, tag="capture_ended"):
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


class Shot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One good look at one face: what detect hands on, and what an alert may later show.

    `track_id` means something within one camera for the seconds a face is in view, and nothing after.
    `landmarks_px` are x, y of right eye, left eye, nose, right and left mouth corner in the full picture.
    In `portrait_jpeg` (the face with some surroundings) and `context_jpeg` every other face is blurred.
    """

    camera_id: Identifier
    track_id: Identifier
    number: Annotated[int, msgspec.Meta(ge=1, le=5)]
    captured_at_ns: Nanoseconds
    read_at_ns: Nanoseconds
    box: Box
    landmarks_px: tuple[float, float, float, float, float, float, float, float, float, float]
    quality: Annotated[int, msgspec.Meta(ge=0, le=100)]
    crop_side_px: Positive
    crop_rgb: bytes
    portrait_jpeg: bytes
    context_jpeg: bytes

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


class FaceFound(Message, frozen=True, tag="face_found"):
    """A face was found and this is a shot worth a template. `fingerprint` is the pack that aligned it."""

    fingerprint: Fingerprint
    shot: Shot


class TemplateMade(Message, frozen=True, tag="template_made"):
    """The template of one shot: `dimension` float32 values, little-endian, of unit length."""

    fingerprint: Fingerprint
    dimension: Annotated[int, msgspec.Meta(ge=1, le=MAX_TEMPLATE_DIMENSION)]
    template: bytes
    shot: Shot

    def __post_init__(self) -> None:
        """Refuse a template that is not a finite unit vector of its size."""
        require_unit_vector(self.template, self.dimension)


class Candidate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A watchlist entry at or above the threshold. `similarity` is a cosine, never a probability."""

    entry_id: Identifier
    similarity: Cosine


class MatchMade(Message, frozen=True, tag="match_made"):
    """One probe matched one entry or more; the first candidate is the best and the one alerted on.

    `probe_hash` is the sealed hash of the matched input that the audit keeps (EU AI Act 12(3)).
    """

    watchlist_id: Identifier
    fingerprint: Fingerprint
    threshold: Cosine
    candidates: Annotated[tuple[Candidate, ...], msgspec.Meta(min_length=1, max_length=20)]
    probe_hash: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
    shot: Shot

    def __post_init__(self) -> None:
        """Refuse candidates below the threshold or out of order."""
        similarities = [candidate.similarity for candidate in self.candidates]
        if min(similarities) < self.threshold:
            raise ValueError("a candidate is below the threshold")
        if similarities != sorted(similarities, reverse=True):
            raise ValueError("candidates are not ordered by similarity")


class AuditHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="audit_head"):
    """The newest link of an audit chain, published so that a cut tail can be noticed."""

    chain_id: Identifier
    length: Annotated[int, msgspec.Meta(ge=0)]
    hash: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
    at_ns: Nanoseconds


class DeadLetter(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="dead_letter"
):
    """A record that could not be read, where it stood, and why.

    `value` is kept only when it was sealed: a face in the clear is not copied anywhere. `size_bytes` and
    `sha256` always say what it was.
    """

    topic: str
    partition: Annotated[int, msgspec.Meta(ge=0)]
    offset: Annotated[int, msgspec.Meta(ge=0)]
    reason: Annotated[str, msgspec.Meta(max_length=500)]
    size_bytes: Annotated[int, msgspec.Meta(ge=0)]
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
    value: bytes | None


def require_jpeg(picture: bytes, what: str) -> None:
    """Raise ValueError unless `picture` begins and ends like a JPEG and is not oversize."""
    if len(picture) > MAX_JPEG_BYTES:
        raise ValueError(f"{what} picture has {len(picture)} bytes, the limit is {MAX_JPEG_BYTES}")
    if not (picture.startswith(b"\xff\xd8\xff") and picture.endswith(b"\xff\xd9")):
        raise ValueError(f"{what} picture is no JPEG")


def require_unit_vector(template: bytes, dimension: int) -> None:
    """Raise ValueError unless `template` holds `dimension` finite float32 values of unit length."""
    if len(template) != 4 * dimension:
        raise ValueError(f"template must have {4 * dimension} bytes, has {len(template)}")
    values = struct.unpack(f"<{dimension}f", template)
    norm = math.sqrt(math.fsum(value * value for value in values))
    if not math.isfinite(norm) or abs(norm - 1.0) > UNIT_NORM_TOLERANCE:
        raise ValueError("template is not a finite unit vector")
