"""Measures what a mistaken colour matrix does to templates, and what the right one costs.

    uv run python benchmarks/colours.py --samples .cache/samples --models .cache/models

Each photograph becomes a frame of video in limited range, and the JPEG that ingest makes of it is compared with the
photograph: cosine of the templates by the same landmarks, and the mean error of the crop's red, green and blue.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import simplejpeg  # type: ignore[import-untyped]
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray
from PIL import Image

from overt.ingest.jpeg import JpegEncoder
from overt.recognition.pack import Pack, load_pack
from overt.recognition.picture import load_picture

QUALITY = 85
# What the video is coded with, and what it says.
CASES = {
    "BT.601": (Colorspace.ITU601, 5),
    "BT.709 taken for BT.601": (Colorspace.ITU709, 5),
    "BT.709": (Colorspace.ITU709, 1),
}


def frame_of(picture_HWC: NDArray[np.uint8], matrix: Colorspace, tag: int) -> av.VideoFrame:
    """Return a picture as video coded with `matrix` that says `tag`."""
    frame = av.VideoFrame.from_ndarray(picture_HWC, format="rgb24")
    coded = frame.reformat(format="yuv420p", dst_colorspace=matrix, dst_color_range=ColorRange.MPEG)
    coded.colorspace = tag
    return coded


def compare(pack: Pack, path: Path) -> dict[str, tuple[float, NDArray[np.float64]]]:
    """Return for each case the cosine with the photograph's own template, and the error of the three colours."""
    picture = Image.fromarray(load_picture(path))
    picture.thumbnail((960, 960))
    picture_HWC = np.ascontiguousarray(np.asarray(picture)[: picture.height & ~1, : picture.width & ~1])
    landmarks_52 = pack.detector.detect(picture_HWC).landmarks_N52[0]
    own_HWC = pack.aligner.crop(picture_HWC, landmarks_52)
    own_D = pack.embedder.embed(own_HWC[None])[0]
    found = {}
    for name, (matrix, tag) in CASES.items():
        jpeg, _, _ = JpegEncoder(QUALITY).encode(frame_of(picture_HWC, matrix, tag))
        crop_HWC = pack.aligner.crop(simplejpeg.decode_jpeg(jpeg), landmarks_52)
        error_3 = np.abs(crop_HWC.astype(np.float64) - own_HWC).mean(axis=(0, 1))
        found[name] = (float(pack.embedder.embed(crop_HWC[None])[0] @ own_D), error_3)
    return found


def least_ms(action: Callable[[], object], times: int = 15) -> float:
    """Return the least processor time of some runs: what others take is not in it."""
    taken = []
    for _ in range(times):
        started_s = time.process_time()
        action()
        taken.append(time.process_time() - started_s)
    return 1000 * min(taken)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=Path, required=True, help="photographs with one face each")
    parser.add_argument("--models", type=Path, required=True)
    options = parser.parse_args()
    pack = load_pack("cpu", options.models)
    paths = sorted(path for path in options.samples.iterdir() if path.suffix in {".jpg", ".png"})
    found = [compare(pack, path) for path in paths]
    print(f"{len(found)} photographs: cosine mean, lowest; error of red, green, blue")
    for name in CASES:
        cosines = [one[name][0] for one in found]
        errors_3 = np.mean([one[name][1] for one in found], axis=0).round(1).tolist()
        print(f"  {name:<24} {np.mean(cosines):.4f} {min(cosines):.4f}  {errors_3}")
    rough = np.random.default_rng(0).integers(0, 255, (68, 120, 3), np.uint8)
    picture_HWC = rough.repeat(16, axis=0).repeat(16, axis=1)[:1080]
    encoder = JpegEncoder(QUALITY)
    for name, (matrix, tag) in CASES.items():
        frame = frame_of(picture_HWC, matrix, tag)
        print(f"  {name:<24} {least_ms(lambda frame=frame: encoder.encode(frame)):.1f} ms a 1080p frame")  # type: ignore[misc]


if __name__ == "__main__":
    main()
