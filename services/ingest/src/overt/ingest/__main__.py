"""`python -m overt.ingest`: the ingest service as a process of its own, over Kafka."""

import sys
import textwrap
from collections.abc import Mapping

from overt.contracts.context import Context
from overt.contracts.standalone import main
from overt.ingest.camera import probe_source
from overt.ingest.errors import SourceRefused
from overt.ingest.service import build
from overt.ingest.settings import IngestSettings
from overt.ingest.source import parse_source
from overt.runtime.process import CannotBegin, Runner
from overt.runtime.settings import PREFIX

# A frame that is lost with a broker is not worth waiting for every replica: the next one is fresher.
# After the timeout it is given up and counted.
KAFKA = {"acks": 1, "queue.buffering.max.kbytes": 32_000, "message.timeout.ms": 3_000}


def runners(context: Context, settings: IngestSettings) -> Mapping[str, Runner]:
    """Look at every recording, then build. Raises CannotBegin."""
    try:
        for camera in settings.ingest_cameras:
            # A camera that is out of reach now is opened again later; a recording will not get better.
            if not parse_source(camera.source).is_endless:
                probe_source(camera.source)
        return build(context, settings.options(), health=context.health).runners
    except SourceRefused as error:
        raise CannotBegin(str(error)) from None


def help_text() -> str:
    """Return every setting with its default, as lines for a terminal."""
    lines = ["usage: python -m overt.ingest", "", __doc__ or "", "", "Settings, from the environment:"]
    for name, field in IngestSettings.model_fields.items():
        default = "required" if field.is_required() else f"default {field.default}"
        text = f"{field.description} [{default}]"
        lines += [
            f"  {PREFIX}{name.upper()}",
            *textwrap.wrap(text, 90, initial_indent=" " * 6, subsequent_indent=" " * 6),
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if {"-h", "--help"} & set(sys.argv[1:]):
        sys.stdout.write(help_text())
        sys.exit(0)
    sys.exit(main("ingest", IngestSettings, runners, kafka=KAFKA))
