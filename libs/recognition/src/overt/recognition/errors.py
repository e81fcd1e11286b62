"""Everything that recognition refuses or fails at, as one tree.

RecognitionError
├── ModelsMissing       the model files were not fetched yet
├── ModelFileCorrupt    a model file is not, byte for byte, the pinned one
├── PackRefused         a pack's description is malformed, or there is none of that name
├── DeviceMissing       the device asked for is not there: there is no other in its place
├── FetchFailed         a file could not be had, or was not the pinned one
├── PictureRefused      a picture can't be used; `str()` is the reason
├── SampleTooSmall      an evaluation has too few searches or people for what was asked
└── GalleryError
    ├── GalleryUnavailable  the store of templates does not answer, or another process has it open
    ├── WatchlistMissing    there is no collection for this list and fingerprint
    └── WrongFingerprint    templates of another model pack: an error, never a score
"""


class RecognitionError(Exception):
    """The root: whoever catches this catches all that this library raises on purpose."""


class ModelsMissing(RecognitionError):
    """The model files were not fetched yet."""


class ModelFileCorrupt(RecognitionError):
    """A model file is not, byte for byte, the pinned one."""


class PackRefused(RecognitionError):
    """A model pack's description is malformed, or there is none of that name."""


class DeviceMissing(RecognitionError):
    """The device that was asked for can't be used here. Nothing falls back to another one."""


class FetchFailed(RecognitionError):
    """A file could not be had, or what was had is not the pinned one."""


class PictureRefused(RecognitionError):
    """A picture can't be used; the message is the reason, in words for whoever chose the picture."""


class SampleTooSmall(RecognitionError):
    """An evaluation has too few searches or people for what was asked; the message says how many more."""


class GalleryError(RecognitionError):
    """The store of templates refused or failed."""


class GalleryUnavailable(GalleryError):
    """The store of templates does not answer, or another process has it open."""


class WatchlistMissing(GalleryError):
    """There is no collection for this watchlist and fingerprint."""


class WrongFingerprint(GalleryError):
    """Templates of one model pack met those of another; both fingerprints are named."""

    def __init__(self, offered: str, stored: str) -> None:
        super().__init__(
            f"templates of pack {offered} can't be compared with those of pack {stored}: enrol the list again"
        )
        self.offered = offered
        self.stored = stored
