"""`python -m overt.embed`: the embed service as a process of its own, over Kafka."""

import sys
from collections.abc import Mapping

from overt.contracts.context import Context
from overt.contracts.standalone import main
from overt.embed.service import build
from overt.embed.settings import EmbedSettings
from overt.recognition.errors import RecognitionError
from overt.recognition.pack import load_pack
from overt.runtime.process import CannotBegin, Runner


def runners(context: Context, settings: EmbedSettings) -> Mapping[str, Runner]:
    """Load the model pack and build. Raises CannotBegin."""
    try:
        pack = load_pack(
            settings.pack, settings.models_dir, device=settings.device, threads=settings.embed_threads
        )
    except RecognitionError as error:
        raise CannotBegin(str(error)) from None
    return {"embed": build(context, settings.options(), pack)}


if __name__ == "__main__":
    sys.exit(main("embed", EmbedSettings, runners))
