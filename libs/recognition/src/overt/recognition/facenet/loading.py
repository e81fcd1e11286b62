"""Makes detector and embedder of a pack whose runtime is PyTorch."""

from pathlib import Path

from overt.recognition.embedder import EmbedderOptions
from overt.recognition.errors import PackRefused
from overt.recognition.facenet.detector import MtcnnDetector
from overt.recognition.facenet.embedder import FacenetEmbedder
from overt.recognition.facenet.mtcnn import Mtcnn
from overt.recognition.facenet.networks import MTCNN, filled, inception_resnet
from overt.recognition.facenet.torch_device import Place, place_of
from overt.recognition.onnx_session import Device
from overt.recognition.pack_spec import PackSpec
from overt.recognition.weights import read_weights


def load(
    spec: PackSpec, folders: tuple[Path, ...], *, device: Device, threads: int
) -> tuple[MtcnnDetector, FacenetEmbedder]:
    """Return both, on the device that was asked for.

    Raises PackRefused, ModelsMissing, ModelFileCorrupt, DeviceMissing.
    """
    if len(spec.detector.files) != len(MTCNN) or len(spec.embedder.files) != 1:
        raise PackRefused(f"pack {spec.name}: MTCNN has three files (P-Net, R-Net, O-Net), the embedder one")
    if spec.detector.input_size_px is not None or spec.detector.outputs:
        raise PackRefused(f"pack {spec.name}: MTCNN has no input_size_px and no outputs to name")
    place = place_of(device, threads=threads)
    return _detector(spec, folders, place), _embedder(spec, folders, place)


def _detector(spec: PackSpec, folders: tuple[Path, ...], place: Place) -> MtcnnDetector:
    table = spec.detector
    p_net, r_net, o_net = (
        place.moved(filled(make(), read_weights(folders, file), file.file))
        for make, file in zip(MTCNN, table.files, strict=True)
    )
    return MtcnnDetector(
        Mtcnn((p_net, r_net, o_net), place, table.mean, table.scale),
        colours=table.colours,
        score_threshold=table.score_threshold,
        nms_iou=table.nms_iou,
    )


def _embedder(spec: PackSpec, folders: tuple[Path, ...], place: Place) -> FacenetEmbedder:
    table = spec.embedder
    (file,) = table.files
    network = filled(inception_resnet(table.dimension), read_weights(folders, file), file.file)
    options = EmbedderOptions(
        dimension=table.dimension,
        crop_size_px=spec.aligner.size_px,
        colours=table.colours,
        normalisation=table.normalisation,
        mean=table.mean,
        scale=table.scale,
    )
    return FacenetEmbedder(place.moved(network), place, options)
