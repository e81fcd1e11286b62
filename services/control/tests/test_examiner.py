"""Real pictures through the real pack: enrolled as the live path would see them, or refused with the right reason."""

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from prometheus_client import CollectorRegistry

from overt.contracts.wire import memory_topics
from overt.control.examiner import EnrolmentLimits, Examined, Examiner, Refused
from overt.control.service import ControlOptions, World, build
from overt.recognition.gallery import Gallery
from overt.recognition.models import fetch_models
from overt.recognition.pack import Pack, load_pack
from overt.recognition.protect import Rotation
from overt.recognition.samples import fetch_samples
from overt.runtime.clock import ManualClock
from overt.runtime.health import Health
from overt.runtime.memory import MemoryBroker

pytestmark = pytest.mark.models

CACHE = Path(__file__).parents[3] / ".cache"
SAME_PERSON = 0.6


def quiet(what: str, done: int, total: int) -> None:
    """Show nothing."""


@pytest.fixture(scope="session")
def pack() -> Pack:
    models_dir = Path(os.environ.get("OVERT_MODELS_DIR", CACHE / "models"))
    fetch_models(models_dir, source=None, progress=quiet)
    return load_pack("cpu", models_dir)


@pytest.fixture(scope="session")
def samples() -> dict[str, Path]:
    return fetch_samples(CACHE / "samples", quiet)


@pytest.fixture(scope="session")
def examiner(pack: Pack) -> Examiner:
    return Examiner(pack, EnrolmentLimits())


def as_jpeg(picture: Image.Image, quality: int = 92) -> bytes:
    out = io.BytesIO()
    picture.convert("RGB").save(out, "JPEG", quality=quality)
    return out.getvalue()


def opened(path: Path) -> Image.Image:
    return Image.open(path).convert("RGB")


def decoded(jpeg: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))


def accepted(examiner: Examiner, content: bytes) -> Examined:
    found = examiner.examine(content)
    assert isinstance(found, Examined), found
    return found


def refused(examiner: Examiner, content: bytes) -> str:
    found = examiner.examine(content)
    assert isinstance(found, Refused)
    return found.reason


def side_by_side(left: Image.Image, right: Image.Image) -> Image.Image:
    height = 600
    left, right = (p.resize((round(p.width * height / p.height), height)) for p in (left, right))
    both = Image.new("RGB", (left.width + right.width, height))
    both.paste(left, (0, 0))
    both.paste(right, (left.width, 0))
    return both


def png_bomb(side_px: int) -> bytes:
    """A PNG of some hundred bytes a row that unpacks to side x side pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side_px, side_px, 1, 0, 0, 0, 0)
    rows = zlib.compressobj(9)
    row = bytes(1 + (side_px + 7) // 8)
    packed = b"".join(rows.compress(row) for _ in range(side_px)) + rows.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.mark.parametrize("name", ["obama", "obama2", "obama3", "biden", "astronaut", "grace_hopper"])
def test_a_good_photograph_is_accepted(examiner: Examiner, samples: dict[str, Path], name: str) -> None:
    found = accepted(examiner, samples[name].read_bytes())
    assert np.linalg.norm(found.template_D) == pytest.approx(1.0, abs=1e-5)
    assert 0 < found.quality <= 100


def test_photographs_of_one_man_agree_and_of_another_do_not(
    examiner: Examiner, samples: dict[str, Path]
) -> None:
    one, other_day, another = (
        accepted(examiner, samples[name].read_bytes()).template_D for name in ("obama", "obama2", "biden")
    )
    assert one @ other_day > SAME_PERSON > 0.3 > one @ another


def test_a_portrait_holds_exactly_one_face_with_level_eyes(
    examiner: Examiner, pack: Pack, samples: dict[str, Path]
) -> None:
    turned = opened(samples["astronaut"]).rotate(25, expand=True, resample=Image.Resampling.BICUBIC)
    portrait_HWC = decoded(accepted(examiner, as_jpeg(turned)).portrait_jpeg)
    side = portrait_HWC.shape[0]
    assert portrait_HWC.shape == (side, side, 3)
    assert side <= 400
    faces = pack.detector.detect(portrait_HWC)
    assert len(faces) == 1
    right, left = faces.landmarks_N52[0][0], faces.landmarks_N52[0][1]
    assert abs(left[1] - right[1]) < 0.06 * (left[0] - right[0])
    assert left[0] - right[0] == pytest.approx(side / 4.2, rel=0.2)


def test_a_portrait_still_shows_the_person_who_was_enrolled(
    examiner: Examiner, samples: dict[str, Path]
) -> None:
    first = accepted(examiner, samples["biden"].read_bytes())
    again = accepted(examiner, first.portrait_jpeg)
    assert first.template_D @ again.template_D > 0.9


def test_two_people_in_one_picture_are_refused(examiner: Examiner, samples: dict[str, Path]) -> None:
    both = side_by_side(opened(samples["obama"]), opened(samples["biden"]))
    assert refused(examiner, as_jpeg(both)) == "several faces"


def test_a_small_face_in_the_background_is_blurred_and_not_enrolled(
    examiner: Examiner, pack: Pack, samples: dict[str, Path]
) -> None:
    picture, small = opened(samples["obama"]), opened(samples["biden"])
    faces = pack.detector.detect(np.asarray(picture))
    _, top, right, bottom = (float(v) for v in faces.boxes_N4[0])
    size = round((bottom - top) * 0.45)
    small.thumbnail((size, size))
    picture.paste(small, (round(right), round(top)))
    assert len(pack.detector.detect(np.asarray(picture))) == 2  # the case is what it says
    found = accepted(examiner, as_jpeg(picture))
    alone = accepted(examiner, samples["obama"].read_bytes())
    assert found.template_D @ alone.template_D > 0.9
    assert len(pack.detector.detect(decoded(found.portrait_jpeg))) == 1


def test_a_picture_without_a_face_is_refused(examiner: Examiner) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (400, 400, 3), dtype=np.uint8)
    assert refused(examiner, as_jpeg(Image.fromarray(noise))) == "no face"
    assert refused(examiner, as_jpeg(Image.new("RGB", (300, 300), (90, 120, 90)))) == "no face"


def test_a_face_that_is_too_small_is_refused(examiner: Examiner, samples: dict[str, Path]) -> None:
    small = opened(samples["biden"])
    small.thumbnail((110, 110))
    assert "too small" in refused(examiner, as_jpeg(small))


@pytest.mark.parametrize("name", ["obama", "biden"])
def test_a_blurred_face_is_refused(examiner: Examiner, samples: dict[str, Path], name: str) -> None:
    blurred = opened(samples[name]).filter(ImageFilter.GaussianBlur(10))
    assert "blurred" in refused(examiner, as_jpeg(blurred))


def test_a_truncated_jpeg_is_refused(examiner: Examiner, samples: dict[str, Path]) -> None:
    content = samples["obama"].read_bytes()
    assert refused(examiner, content[: len(content) // 2]).startswith("truncated")


def test_a_picture_of_thirty_thousand_pixels_a_side_is_refused_before_it_is_unpacked(
    examiner: Examiner,
) -> None:
    bomb = png_bomb(30_000)
    assert len(bomb) < 1_000_000
    assert refused(examiner, bomb).startswith("too large")


@pytest.mark.parametrize("content", [b"", b"a text file\n" * 100, b"%PDF-1.7\n", b"\xff\xd8\xff\xe0garbage"])
def test_what_is_no_picture_is_refused(examiner: Examiner, content: bytes) -> None:
    assert refused(examiner, content)


def test_every_reason_is_told_at_once(examiner: Examiner, samples: dict[str, Path]) -> None:
    poor = opened(samples["obama"]).filter(ImageFilter.GaussianBlur(12))
    poor = poor.resize((poor.width // 8, poor.height // 8)).point(lambda value: value * 0.12)
    reasons = refused(examiner, as_jpeg(poor)).split("; ")
    assert len(reasons) >= 3
    assert reasons[0].startswith("face too small")
    assert {"face too dark", "face without contrast"} < set(reasons)


def test_a_covered_mouth_is_refused(examiner: Examiner, pack: Pack, samples: dict[str, Path]) -> None:
    picture = opened(samples["obama"])
    landmarks_52 = pack.detector.detect(np.asarray(picture)).landmarks_N52[0]
    (left, _), (right, _), (_, nose), (_, mouth), _ = landmarks_52.tolist()
    ImageDraw.Draw(picture).rectangle((left, nose, right, 2 * mouth - nose), fill=(150, 190, 215))
    assert refused(examiner, as_jpeg(picture)) == "mouth or nose covered"


def test_a_picture_that_lies_on_its_side_is_refused_and_not_enrolled_wrongly(
    examiner: Examiner, samples: dict[str, Path]
) -> None:
    for path in samples.values():
        for turn in (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270):
            reason = refused(examiner, as_jpeg(opened(path).transpose(turn)))
            assert reason in {"picture lies on its side or head down: turn it upright", "no face"}


def test_one_pixel_has_no_face(examiner: Examiner) -> None:
    assert refused(examiner, as_jpeg(Image.new("RGB", (1, 1)))) == "no face"


# Of the original's template: the close-up is enlarged without detail, the small one has lost some.
@pytest.mark.parametrize("enlarged", [1.0, 3.0])
def test_a_face_that_fills_the_picture_is_enrolled(
    examiner: Examiner, pack: Pack, samples: dict[str, Path], enlarged: float
) -> None:
    picture = opened(samples["biden"])
    left, top, right, bottom = pack.detector.detect(np.asarray(picture)).boxes_N4[0]
    wide, high = (right - left) * 0.12, (bottom - top) * 0.12
    close = picture.crop((round(left - wide), round(top - high), round(right + wide), round(bottom + high)))
    close = close.resize(
        (round(close.width * enlarged), round(close.height * enlarged)), Image.Resampling.BICUBIC
    )
    original_D = accepted(examiner, samples["biden"].read_bytes()).template_D
    assert accepted(examiner, as_jpeg(close)).template_D @ original_D > 0.9


@pytest.mark.parametrize("height_px", [5000, 260])
def test_large_and_small_faces_are_enrolled_from_forty_megapixels(
    examiner: Examiner, samples: dict[str, Path], height_px: int
) -> None:
    picture = opened(samples["obama"])
    original_D = accepted(examiner, samples["obama"].read_bytes()).template_D
    face = picture.resize(
        (round(picture.width * height_px / picture.height), height_px), Image.Resampling.LANCZOS
    )
    whole = Image.new("RGB", (8000, 5000), (110, 120, 130))
    whole.paste(face, (3000, (5000 - height_px) // 2))
    assert accepted(examiner, as_jpeg(whole)).template_D @ original_D > 0.9


def test_a_folder_is_enrolled_into_a_real_gallery_under_the_rotation_of_its_list(
    pack: Pack, samples: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "list"
    (folder / "Man One").mkdir(parents=True)
    (folder / "Man One" / "1.jpg").write_bytes(samples["obama"].read_bytes())
    (folder / "Man One" / "2.jpg").write_bytes(samples["obama2"].read_bytes())
    (folder / "biden.jpg").write_bytes(samples["biden"].read_bytes())
    (folder / "cut.jpg").write_bytes(samples["biden"].read_bytes()[:9_000])
    (folder / "notes.txt").write_text("not a picture")
    clock = ManualClock()
    gallery = Gallery(str(tmp_path / "milvus"))
    world = World(MemoryBroker(memory_topics(), clock), clock, CollectorRegistry(), Health())
    control = build(ControlOptions(tmp_path / "data"), world, pack=pack, gallery=gallery)
    try:
        report = control.enrol_folder(folder, "w1", category="blue_list")
        again = control.enrol_folder(folder, "w1", category="blue_list")
        assert [name for name, _ in report.refused] == ["cut.jpg", "notes.txt"]
        assert (len(report.accepted), again.accepted, len(again.unchanged)) == (3, (), 3)
        assert gallery.count("w1", pack.info.fingerprint) == 3
        assert best_match(control, gallery, pack, samples["obama3"]) == report.accepted[0]
        assert best_match(control, gallery, pack, samples["astronaut"]) is None
        control.erase_watchlist("w1")
        assert not gallery.exists("w1", pack.info.fingerprint)
    finally:
        control.close()
        gallery.close()


def best_match(control: Any, gallery: Gallery, pack: Pack, probe: Path) -> str | None:
    found = Examiner(pack, EnrolmentLimits()).examine(probe.read_bytes())
    assert isinstance(found, Examined)
    key = control.keys.current("watchlist.w1", "lasting")
    hits = gallery.search(
        "w1",
        pack.info.fingerprint,
        found.template_D[np.newaxis],
        rotation=Rotation.from_key(key.secret, pack.info.dimension),
        threshold=SAME_PERSON,
    )
    return hits[0][0].entry_id if hits[0] else None
