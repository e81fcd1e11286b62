"""`python -m overt.detect`: the detect service as a process of its own, over Kafka."""

import sys
from collections.abc import Mapping

from overt.contracts.context import Context
from overt.contracts.standalone import main
from overt.detect.service import build
from overt.detect.settings import DetectSettings
from overt.detect.zones import ZonesRefused
from overt.recognition.errors import RecognitionError
from overt.recognition.pack import load_pack
from overt.runtime.process import CannotBegin, Runner


def runners(context: Context, settings: DetectSettings) -> Mapping[str, Runner]:
    """Load the model pack and build. Raises CannotBegin."""
    try:
        options = settings.options()
        pack = load_pack(
            settings.pack, settings.models_dir, device=settings.device, threads=settings.detect_threads
        )
    except (RecognitionError, ZonesRefused) as error:
        raise CannotBegin(str(error)) from None
    return {"detect": build(context, options, pack)}


if __name__ == "__main__":
    sys.exit(main("detect", DetectSettings, runners))
