"""Opens the store of templates at the start of a service, which may come before Milvus does."""

import time
from collections.abc import Callable

import structlog

from overt.recognition.errors import GalleryUnavailable
from overt.recognition.gallery import Gallery
from overt.runtime.clock import Clock
from overt.runtime.health import Health

log = structlog.get_logger()

# The part of the service in /readyz.
PART = "gallery"
ASK_EVERY_S = 0.5


def await_gallery(
    open_gallery: Callable[[], Gallery], patience_s: float, *, service: str, health: Health, clock: Clock
) -> Gallery:
    """Return what `open_gallery` opens, once Milvus answers; until then `health` says why not.

    Raises GalleryUnavailable when it does not answer in `patience_s`, and at once whatever else
    `open_gallery` raises.
    """
    begun_s = clock.monotonic_s()
    while True:
        try:
            gallery = open_gallery()
        except GalleryUnavailable as error:
            waited_s = clock.monotonic_s() - begun_s
            if waited_s >= patience_s:
                raise GalleryUnavailable(f"{error} (waited {waited_s:.0f} s for Milvus)") from None
            if PART not in health.problems():
                log.warning("waiting for Milvus", service=service, reason=str(error))
            health.set(PART, str(error))
            time.sleep(ASK_EVERY_S)
        else:
            health.set(PART, None)
            return gallery
