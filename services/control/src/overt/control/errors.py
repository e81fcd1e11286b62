"""Everything that control refuses, as one tree; every text is one line that can be shown to the officer."""


class ControlError(Exception):
    """Control refused.

    ControlError
    ├── DraftRefused        an order breaks a rule of policy.py
    ├── Unknown             there is no such deployment, watchlist or entry (any more)
    ├── EvidenceMissing     no signed record shows what was asked for
    ├── EnrolmentError      a watchlist can't be made
    │   ├── NoPictures      the folder holds none
    │   ├── AllRefused      every picture was refused
    │   ├── WrongPack       the list was made by another model pack
    │   ├── ListInUse       a deployment runs on the list
    │   ├── ListErased      the list was deleted; its id is not used again
    │   └── ListFull        the list would grow beyond the cap
    └── KeyStoreError       a key is missing, unreadable or lies open
        ├── KeyFileUnsafe   others can read the key file, or it holds no key
        └── WrongKek        the key-encryption key does not open the stored keys
    """


class DraftRefused(ControlError):
    """An order breaks a rule. `reasons` holds every broken one, not just the first."""

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__("order refused: " + "; ".join(reasons))
        self.reasons = reasons


class Unknown(ControlError):
    """There is no such deployment, watchlist or entry."""


class DataFolderBusy(ControlError):
    """Another process holds the data folder: two controls would give out two sets of keys."""


class EvidenceMissing(ControlError):
    """An evidence record is forged, edited, about another pack, or shows too little."""


class EnrolmentError(ControlError):
    """A watchlist can't be made or extended."""


class NoPictures(EnrolmentError):
    """The folder is missing or holds no picture."""


class AllRefused(EnrolmentError):
    """Every picture was refused; the text lists why. `refused` holds (name, reason) pairs."""

    def __init__(self, refused: tuple[tuple[str, str], ...]) -> None:
        shown = "; ".join(f"{name}: {reason}" for name, reason in refused[:10])
        more = f"; and {len(refused) - 10} more" if len(refused) > 10 else ""
        super().__init__(f"no picture could be enrolled: {shown}{more}")
        self.refused = refused


class WrongPack(EnrolmentError):
    """The list holds templates of another pack: they are never compared."""

    def __init__(self, watchlist_id: str, listed: str, loaded: str) -> None:
        super().__init__(
            f"watchlist {watchlist_id} was made by the pack with fingerprint {listed}, "
            f"the loaded pack has fingerprint {loaded}"
        )


class ListInUse(EnrolmentError):
    """A deployment that has not ended uses the list: its signed size must stay true."""


class ListErased(EnrolmentError):
    """The list was erased. Its id is not used again, so a record of the past stays unambiguous."""


class ListFull(EnrolmentError):
    """The list would have more entries than the cap."""


class KeyStoreError(ControlError):
    """A key is missing, unreadable or lies open."""


class KeyFileUnsafe(KeyStoreError):
    """A key file can be read by others, or holds no key."""


class WrongKek(KeyStoreError):
    """The key-encryption key does not open the stored keys, or a stored key was changed."""
