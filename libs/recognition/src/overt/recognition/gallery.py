"""Keeps the templates of watchlists in Milvus and searches them one to many, exactly.

One collection a watchlist and fingerprint. Vectors are stored rotated (see `protect.py`), with the entry
they belong to and nothing else.
"""

import hashlib
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import grpc  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray
from pymilvus import DataType, MilvusClient  # type: ignore[import-untyped]
from pymilvus.exceptions import ErrorCode, MilvusException  # type: ignore[import-untyped]

from overt.recognition import embedded_milvus
from overt.recognition.errors import (
    GalleryError,
    GalleryUnavailable,
    WatchlistMissing,
    WrongFingerprint,
)
from overt.recognition.protect import Rotation

MAX_ENTRY_ID = 128
# Milvus Lite keeps a collection's properties, but no description.
FINGERPRINT_PROPERTY = "overt.fingerprint"
# References asked for at first; more only when these were all above the threshold and of too few entries.
FIRST_FETCH = 64
# What Milvus returns at most for one probe.
MAX_FETCH = 16_384
TIMEOUT_S = 10.0
# After an outage pymilvus connects anew: at once with a pool of its own, where channels that share one wait for
# gRPC's pauses, which grow to two minutes. Dedicated, or another client's options would be taken over.
# No pings while nothing is asked: pymilvus sends one every 10 s, and a server may hang up on too many of them.
GRPC = {"grpc.use_local_subchannel_pool": 1, "grpc.keepalive_permit_without_calls": 0}


@dataclass(frozen=True, slots=True)
class Hit:
    """An entry at or above the threshold, by the best of its reference pictures. A cosine, no probability."""

    entry_id: str
    similarity: float


class Gallery:
    """The store of templates.

    `uri` is a folder (a path, or file:///path) that Milvus Lite keeps in this process, or the address of a
    Milvus server (http, https). Several galleries of one process share a folder; a second process is
    refused. Safe to share between threads. Every method raises GalleryUnavailable when Milvus fails.
    """

    def __init__(self, uri: str, token: str | None = None) -> None:
        # pymilvus logs what it raises; we raise it too, once, in our own words.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        logging.getLogger("milvus_lite").setLevel(logging.CRITICAL)
        # Milvus Lite lacks a call that pymilvus makes and does without: grpc prints a trace for it.
        logging.getLogger("grpc._server").setLevel(logging.CRITICAL)
        self._dimensions: dict[str, int] = {}
        self._folder = _folder(uri)
        address = embedded_milvus.open_folder(self._folder) if self._folder else uri
        try:
            with self._asking():
                self._client = MilvusClient(
                    uri=address, token=token or "", timeout=TIMEOUT_S, dedicated=True, grpc_options=GRPC
                )
        except GalleryUnavailable:
            self._release()
            raise

    def create(self, watchlist_id: str, fingerprint: str, dimension: int) -> None:
        """Make the collection of a watchlist and fingerprint; nothing happens if there is one."""
        if self.exists(watchlist_id, fingerprint):
            return
        schema = MilvusClient.create_schema(auto_id=False)
        schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=MAX_ENTRY_ID + 40)
        schema.add_field("entry_id", DataType.VARCHAR, max_length=MAX_ENTRY_ID)
        schema.add_field("template", DataType.FLOAT_VECTOR, dim=dimension)
        index = MilvusClient.prepare_index_params()
        # FLAT compares with every reference: recall is 1 by construction. Inner product of unit vectors.
        index.add_index(field_name="template", index_type="FLAT", metric_type="IP")
        with self._asking():
            self._client.create_collection(
                collection_name(watchlist_id, fingerprint),
                schema=schema,
                index_params=index,
                consistency_level="Strong",
                properties={FINGERPRINT_PROPERTY: fingerprint},
            )

    def exists(self, watchlist_id: str, fingerprint: str) -> bool:
        """Tell whether there is a collection for this watchlist and fingerprint."""
        with self._asking():
            return bool(self._client.has_collection(collection_name(watchlist_id, fingerprint)))

    def add(
        self,
        watchlist_id: str,
        fingerprint: str,
        *,
        entry_ids: Sequence[str],
        templates_ND: NDArray[np.float32],
        rotation: Rotation,
    ) -> None:
        """Store one reference for each row of `templates_ND`; an entry may have many.

        The same reference added again is the same row: a repeated import changes nothing. Everything is
        on disk on return. Raises WatchlistMissing, WrongFingerprint, GalleryError for templates that are
        not finite unit rows of the collection's dimension.
        """
        self._require(watchlist_id, fingerprint, templates_ND)
        if len(entry_ids) != len(templates_ND):
            raise GalleryError(f"{len(entry_ids)} entries for {len(templates_ND)} templates")
        if not entry_ids:
            return
        rotated_ND = rotation.apply(templates_ND)
        references = {
            f"{entry_id}/{_digest(row)}": {"entry_id": entry_id, "template": row}
            for entry_id, row in zip(entry_ids, rotated_ND, strict=True)
        }
        name = collection_name(watchlist_id, fingerprint)
        with self._asking():
            self._client.upsert(name, [{"id": key, **row} for key, row in references.items()])
            if self._folder:
                # Before a flush Milvus Lite searches 12 times slower. A server does this when it likes.
                self._client.flush(name)

    def search(  # noqa: PLR0913 - each says what is compared, or how much is returned
        self,
        watchlist_id: str,
        fingerprint: str,
        probes_ND: NDArray[np.float32],
        *,
        rotation: Rotation,
        threshold: float,
        limit: int = 5,
    ) -> list[list[Hit]]:
        """Return for each probe up to `limit` entries at or above `threshold`, the most similar first.

        Exact, and sees every `add` that has returned. Raises as `add` does.
        """
        self._require(watchlist_id, fingerprint, probes_ND)
        if len(probes_ND) == 0:
            return []
        name, rotated_ND = collection_name(watchlist_id, fingerprint), rotation.apply(probes_ND)
        fetch = max(FIRST_FETCH, limit)
        while True:
            rows_of = self._nearest(name, rotated_ND, fetch)
            found = [_best_of_entries(rows, threshold) for rows in rows_of]
            # A full page above the threshold may hide further entries behind the pictures of one.
            short = any(
                len(rows) == fetch and rows[-1].similarity >= threshold and len(hits) < limit
                for rows, hits in zip(rows_of, found, strict=True)
            )
            if not short or fetch == MAX_FETCH:
                return [hits[:limit] for hits in found]
            fetch = min(fetch * 8, MAX_FETCH)

    def count(self, watchlist_id: str, fingerprint: str) -> int:
        """Return how many references (not entries) are stored. Raises WatchlistMissing, WrongFingerprint."""
        self._require(watchlist_id, fingerprint, None)
        with self._asking():
            rows = self._client.query(
                collection_name(watchlist_id, fingerprint),
                filter="",
                output_fields=["count(*)"],
                consistency_level="Strong",
            )
        return int(rows[0]["count(*)"])

    def drop(self, watchlist_id: str, fingerprint: str) -> None:
        """Delete a collection with every vector in it; nothing happens if there is none.

        With a folder its files are gone on return; a server deletes them within its own retention.
        """
        name = collection_name(watchlist_id, fingerprint)
        self._dimensions.pop(name, None)
        with self._asking():
            self._client.drop_collection(name)
        if self._folder:
            embedded_milvus.remove_leftovers(self._folder, name)

    def close(self) -> None:
        """Let go of Milvus. Nothing is lost."""
        self._client.close()
        self._release()

    def _release(self) -> None:
        if self._folder:
            embedded_milvus.close_folder(self._folder)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Turn what Milvus raises into our errors; what was known of its collections may be out of date."""
        try:
            yield
        except MilvusException as error:
            self._dimensions.clear()
            if error.code == ErrorCode.COLLECTION_NOT_FOUND:
                raise WatchlistMissing("the list is no longer in the gallery") from error
            raise GalleryUnavailable(f"the gallery does not answer: {error.message}") from error
        except grpc.RpcError as error:
            self._dimensions.clear()
            raise GalleryUnavailable(f"the gallery does not answer: {type(error).__name__}") from error

    def _nearest(self, name: str, rotated_ND: NDArray[np.float32], fetch: int) -> list[list[Hit]]:
        with self._asking():
            answer = self._client.search(
                name,
                data=list(rotated_ND),
                anns_field="template",
                limit=fetch,
                output_fields=["entry_id"],
                search_params={"metric_type": "IP"},
                consistency_level="Strong",
            )
        return [[Hit(row["entity"]["entry_id"], float(row["distance"])) for row in rows] for rows in answer]

    def _require(self, watchlist_id: str, fingerprint: str, templates_ND: NDArray[np.float32] | None) -> None:
        """Refuse what must not be compared. Raises WatchlistMissing, WrongFingerprint, GalleryError."""
        name = collection_name(watchlist_id, fingerprint)
        expected = self._dimensions.get(name)
        if expected is None:
            known = self._described(watchlist_id)
            if not known:
                raise WatchlistMissing(f"there is no list {watchlist_id} in the gallery")
            if fingerprint not in known:
                raise WrongFingerprint(fingerprint, next(iter(known)))
            expected = self._dimensions[name] = known[fingerprint]
        if templates_ND is None:
            return
        if templates_ND.ndim != 2 or templates_ND.shape[1] != expected:
            raise GalleryError(
                f"templates are {templates_ND.shape}, expected (N, {expected}) for pack {fingerprint}"
            )
        # NaN fails this too.
        if not np.all(np.abs(np.linalg.norm(templates_ND, axis=1) - 1.0) < 1e-3):
            raise GalleryError("templates are not unit vectors")

    def _described(self, watchlist_id: str) -> Mapping[str, int]:
        """Return the dimension by fingerprint, for every collection of the watchlist."""
        prefix = collection_name(watchlist_id, "")
        known: dict[str, int] = {}
        with self._asking():
            for name in self._client.list_collections():
                if name.startswith(prefix):
                    described = self._client.describe_collection(name)
                    known[described["properties"][FINGERPRINT_PROPERTY]] = _dimension(described)
                    self._client.load_collection(name)
        return known


def collection_name(watchlist_id: str, fingerprint: str) -> str:
    """Return the collection's name: Milvus knows letters, digits and underscores only.

    Other characters of the id become an underscore and their hex code: different ids, different names.
    """
    plain = re.sub(r"[^A-Za-z0-9]", lambda found: f"_{ord(found[0]):02x}", watchlist_id)
    return f"watchlist_{plain}__{fingerprint[:16]}"


def _best_of_entries(rows: Sequence[Hit], threshold: float) -> list[Hit]:
    """Return each entry once, by its best reference; `rows` has the most similar first."""
    best: dict[str, Hit] = {}
    for row in rows:
        if row.similarity >= threshold:
            best.setdefault(row.entry_id, row)
    return list(best.values())


def _digest(row: NDArray[np.float32]) -> str:
    """Name a reference by what is stored, so that adding it twice is adding it once."""
    return hashlib.sha256(row.astype("<f4").tobytes()).hexdigest()[:32]


def _dimension(described: Mapping[str, Any]) -> int:
    field = next(one for one in described["fields"] if one["name"] == "template")
    return int(field["params"]["dim"])


def _folder(uri: str) -> Path | None:
    parts = urlsplit(uri)
    if parts.scheme in {"http", "https", "tcp"}:
        return None
    return Path(unquote(parts.path) if parts.scheme == "file" else uri)
