"""Puts control together; `__main__` does it over Kafka, the command line in one process."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import Engine

from overt.control import key_files
from overt.control.control import Control, Parts
from overt.control.database import open_database, sqlite_url
from overt.control.deployments import Deployments
from overt.control.enrolment import Enrolment
from overt.control.examiner import EnrolmentLimits, Examiner
from overt.control.folder_lock import FolderLock
from overt.control.keys import ControlKeys
from overt.control.keystore import KeyStore
from overt.control.metrics import ControlMetrics
from overt.control.order_store import OrderStore
from overt.control.register import OrderRegister
from overt.control.watchlist_store import WatchlistStore
from overt.control.watchlists import Watchlists
from overt.recognition.gallery import Gallery
from overt.recognition.pack import Pack
from overt.runtime.broker import Broker
from overt.runtime.clock import Clock
from overt.runtime.health import Health
from overt.runtime.keys import KeyRing


@dataclass(frozen=True, slots=True)
class ControlOptions:
    """What control is told.

    `database_url` None: SQLite in the data folder. `kek` and `order_signing_key` are 32 bytes in base64;
    None: made once and kept in `keys/` of the data folder, readable by their owner only.
    """

    data_dir: Path
    database_url: str | None = None
    kek: SecretStr | None = None
    order_signing_key: SecretStr | None = None
    limits: EnrolmentLimits = field(default_factory=EnrolmentLimits)
    epoch_s: float = 300.0
    linger_s: float = 60.0
    tick_s: float = 1.0


@dataclass(frozen=True, slots=True)
class World:
    """What surrounds control."""

    broker: Broker
    clock: Clock
    registry: CollectorRegistry
    health: Health
    random_bytes: Callable[[int], bytes] = os.urandom


def build(options: ControlOptions, world: World, *, pack: Pack, gallery: Gallery) -> Control:
    """Open what is stored and return control, with keys for what runs; `Control.run` is its runner.

    Raises DataFolderBusy, KeyStoreError, BrokerError.
    """
    with ExitStack() as undo:
        folder = FolderLock(options.data_dir)
        undo.callback(folder.release)
        engine = open_database(options.database_url or sqlite_url(options.data_dir / "control.db"))
        undo.callback(engine.dispose)
        parts = _assemble(options, world, engine=engine, folder=folder, recognition=(pack, gallery))
        parts.watchlists.restore()
        parts.deployments.restore()
        control = Control(parts, tick_s=options.tick_s)
        control.tick()
        undo.pop_all()
    return control


def _assemble(
    options: ControlOptions,
    world: World,
    *,
    engine: Engine,
    folder: FolderLock,
    recognition: tuple[Pack, Gallery],
) -> Parts:
    pack, gallery = recognition
    keys = _keys(options, world, engine)
    register = OrderRegister(OrderStore(engine), _signing_key(options, world))
    metrics = ControlMetrics(world.registry)
    deployments = Deployments(
        register, keys, producer=world.broker.producer(), clock=world.clock, metrics=metrics
    )
    watchlists = Watchlists(
        store=WatchlistStore(engine),
        gallery=gallery,
        keys=keys,
        register=register,
        pack=pack.info,
        clock=world.clock,
        lock=deployments.lock,
    )
    return Parts(
        engine=engine,
        folder=folder,
        register=register,
        keys=keys,
        deployments=deployments,
        watchlists=watchlists,
        enrolment=Enrolment(watchlists, Examiner(pack, options.limits), metrics),
        pack=pack.info,
        clock=world.clock,
        health=world.health,
        metrics=metrics,
    )


def _keys(options: ControlOptions, world: World, engine: Engine) -> ControlKeys:
    kek = _secret(options.kek, options.data_dir / "keys" / "kek", world)
    store = KeyStore(engine, kek, random_bytes=world.random_bytes)
    store.verify()
    ring = KeyRing(
        world.clock, epoch_s=options.epoch_s, linger_s=options.linger_s, random_bytes=world.random_bytes
    )
    return ControlKeys(store, ring)


def _signing_key(options: ControlOptions, world: World) -> Ed25519PrivateKey:
    path = options.data_dir / "keys" / "order-signing"
    return Ed25519PrivateKey.from_private_bytes(_secret(options.order_signing_key, path, world))


def _secret(given: SecretStr | None, path: Path, world: World) -> bytes:
    if given is not None:
        return key_files.decode_secret(given.get_secret_value(), f"the setting for {path.name}")
    return key_files.find_or_make(path, random_bytes=world.random_bytes)
