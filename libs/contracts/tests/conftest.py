"""What the tests of the contracts share: the committed examples, the key that signed them, usual orders."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from overt.contracts.codec import decode
from overt.contracts.messages import CaptureEnded, FaceFound, FrameCaptured, MatchMade, TemplateMade
from overt.contracts.orders import Order
from overt.contracts.topics import FACES, FRAMES, MATCHES, TEMPLATES, Topic

EXAMPLES = Path(__file__).parents[1] / "examples"
NOW_S = 1_700_000_000.0

MakeOrder = Callable[..., Order]


def example(topic: Topic, name: str) -> msgspec.Struct:
    path = EXAMPLES / topic.name.replace(".v", "/v") / "good" / f"{name}.{topic.encoding}"
    return decode(topic, path.read_bytes())


@pytest.fixture(scope="session")
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture(scope="session")
def frame() -> FrameCaptured:
    return cast("FrameCaptured", example(FRAMES, "frame_captured.live"))


@pytest.fixture(scope="session")
def ended() -> CaptureEnded:
    return cast("CaptureEnded", example(FRAMES, "capture_ended.plain"))


@pytest.fixture(scope="session")
def face() -> FaceFound:
    return cast("FaceFound", example(FACES, "face_found.side_112"))


@pytest.fixture(scope="session")
def template() -> TemplateMade:
    return cast("TemplateMade", example(TEMPLATES, "template_made.of_128"))


@pytest.fixture(scope="session")
def match() -> MatchMade:
    return cast("MatchMade", example(MATCHES, "match_made.two_candidates"))


@pytest.fixture(scope="session")
def make_order() -> MakeOrder:
    usual = Order(
        deployment_id="dep-1",
        revision=1,
        state="active",
        purpose="protective_event",
        place="North gate",
        starts_at_s=NOW_S,
        ends_at_s=NOW_S + 3_600,
        camera_ids=("north", "south"),
        watchlist_id="list-1",
        watchlist_size=3,
        fingerprint="5f" * 32,
        threshold=0.42,
        issued_at_s=NOW_S - 60,
    )

    def make(**changes: object) -> Order:
        return msgspec.structs.replace(usual, **changes)

    return make
