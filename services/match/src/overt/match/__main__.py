"""`python -m overt.match`: the match service as a process of its own, over Kafka and a Milvus server."""

import sys
from collections.abc import Mapping

from overt.contracts.context import Context
from overt.contracts.standalone import main
from overt.match.service import build
from overt.match.settings import MatchSettings
from overt.recognition.errors import RecognitionError
from overt.recognition.gallery import Gallery
from overt.recognition.gallery_start import await_gallery
from overt.runtime.process import CannotBegin, Runner


def runners(context: Context, settings: MatchSettings) -> Mapping[str, Runner]:
    """Wait until Milvus answers, then build. Raises CannotBegin when it does not in `milvus_patience_s`."""
    token = None if settings.milvus_token is None else settings.milvus_token.get_secret_value()
    try:
        gallery = await_gallery(
            lambda: Gallery(settings.milvus_uri, token),
            settings.milvus_patience_s,
            service="match",
            health=context.health,
            clock=context.clock,
        )
    except RecognitionError as error:
        raise CannotBegin(str(error)) from None
    return {"match": build(context, settings.options(), gallery)}


if __name__ == "__main__":
    sys.exit(main("match", MatchSettings, runners))
