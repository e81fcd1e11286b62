"""The store on SQLite and on PostgreSQL: the same promises."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from overt.alerts.audit import Act, append, first_broken
from overt.alerts.database import DatabaseAway, StoreUnusable
from overt.alerts.pictures import Vault
from overt.alerts.recording import Recorder
from overt.alerts.store import Store
from overt.alerts.tables import OutboxRow
from services.alerts.tests.conftest import World
from tests.integration.servers.postgres import PostgresServer

WORKERS = 4
EACH = 12


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer.start() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/alerts.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.database()


def in_threads(action: Callable[[int], object]) -> None:
    start = threading.Barrier(WORKERS)

    def run(worker: int) -> None:
        start.wait()
        action(worker)

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(run, range(WORKERS)))


def test_processes_that_open_an_empty_database_at_once_all_can(url: str) -> None:
    in_threads(lambda _: Store(url).close())
    store = Store(url)
    assert store.last_position() == 0
    store.close()


def test_writers_at_once_make_one_audit_chain_without_forks(url: str) -> None:
    stores = [Store(url) for _ in range(WORKERS)]

    def write(worker: int) -> None:
        for number in range(EACH):
            with stores[worker].write() as session:
                append(session, Act(number, f"person-{worker}", "picture.view", "alert-1"))

    in_threads(write)
    with stores[0].read() as session:
        assert first_broken(session) is None
        assert session.scalar(text("SELECT count(*) FROM audit")) == WORKERS * EACH
    for store in stores:
        store.close()


@pytest.mark.parametrize("statement", ["UPDATE audit SET person_id = 'other'", "DELETE FROM audit"])
def test_the_database_itself_refuses_to_change_the_audit_trail(url: str, statement: str) -> None:
    store = Store(url)
    with store.write() as session:
        append(session, Act(1, "person-1", "picture.view", "alert-1"))
    with pytest.raises(DBAPIError, match="insert-only"), store.write() as session:
        session.execute(text(statement))
    with store.read() as session:
        assert first_broken(session) is None
        assert session.scalar(text("SELECT count(*) FROM audit")) == 1
    store.close()


def test_one_pass_recorded_by_workers_at_once_is_one_alert_with_every_match(url: str, world: World) -> None:
    matches = [world.match(number=1, track_id=f"t{number}") for number in range(WORKERS * 3)]
    stores = [Store(url) for _ in range(WORKERS)]
    recorder = Recorder(Vault(world.keys), world.clock, window_ns=30 * 10**9)

    def record(worker: int) -> None:
        # Each worker gets every match: redelivered ones change nothing, whoever has them first.
        for match in matches[worker:] + matches[:worker]:
            with stores[worker].write() as session:
                recorder.record(session, match)

    in_threads(record)
    with stores[0].read() as session:
        assert session.execute(text("SELECT matches FROM alerts")).all() == [(len(matches),)]
    for store in stores:
        store.close()


def test_a_reader_sees_positions_of_the_outbox_without_a_gap_that_is_filled_later(url: str) -> None:
    stores = [Store(url) for _ in range(WORKERS)]
    seen: list[list[int]] = []
    done = threading.Event()

    def follow() -> None:
        while not done.is_set():
            seen.append([stored.position for stored in stores[0].events_after(0, 10_000)])

    def write(worker: int) -> None:
        for _ in range(EACH):
            with stores[worker].write() as session:
                session.add(OutboxRow(alert_id="alert-1", event_json=b"{}", sent_at_ns=None))

    reader = threading.Thread(target=follow)
    reader.start()
    in_threads(write)
    done.set()
    reader.join()
    final = [stored.position for stored in stores[0].events_after(0, 10_000)]
    assert len(final) == WORKERS * EACH
    assert all(positions == final[: len(positions)] for positions in seen)
    for store in stores:
        store.close()


def test_one_holder_at_a_time_publishes(url: str) -> None:
    first, second = Store(url), Store(url)
    with first.relay_lease() as mine:
        assert mine
        with second.relay_lease() as theirs:
            assert not theirs
    with second.relay_lease() as theirs:
        assert theirs
    first.close()
    second.close()


def test_what_was_sent_long_ago_is_forgotten_and_numbers_go_on(url: str) -> None:
    store = Store(url)
    with store.write() as session:
        for sent_at_ns in (5, 50, None):
            session.add(OutboxRow(alert_id="alert-1", event_json=b"{}", sent_at_ns=sent_at_ns))
            session.flush()
    assert store.forget_sent(50) == 1
    assert [stored.position for stored in store.events_after(0, 10)] == [2, 3]
    assert store.forget_sent(51) == 1
    with store.write() as session:
        session.add(OutboxRow(alert_id="alert-1", event_json=b"{}", sent_at_ns=None))
    assert store.last_position() == 4
    store.close()


@pytest.mark.integration
def test_a_postgresql_that_goes_away_is_said_to_be_away_and_serves_again_when_it_is_back() -> None:
    with PostgresServer.start() as server:
        url = server.database()
        store = Store(url)
        assert store.last_position() == 0
        server.stop()
        with pytest.raises(DatabaseAway, match="away"):
            store.last_position()
        with pytest.raises(StoreUnusable) as refused:
            Store(url)
        assert server.password not in str(refused.value)
        server.restart()
        assert store.last_position() == 0
        store.close()


@pytest.mark.integration
def test_a_postgresql_that_only_reads_after_a_failover_is_away_until_another_connection_may_write(
    postgres: PostgresServer,
) -> None:
    store = Store(postgres.database())

    def write() -> None:
        with store.write() as session:
            append(session, Act(1, "person-1", "picture.view", "alert-1"))

    with store.write() as session:
        session.execute(text("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"))
    with pytest.raises(DatabaseAway, match="read-only"):
        write()
    write()
    store.close()


def test_a_relay_lock_that_cannot_be_had_counts_as_a_database_that_is_away(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/alerts.db")
    lock = tmp_path / "alerts.db.relay"
    lock.mkdir()
    with pytest.raises(DatabaseAway, match="Is a directory"), store.relay_lease():
        pass
    lock.rmdir()
    with store.relay_lease() as held:
        assert held
    store.close()


@pytest.mark.parametrize("url", ["mysql://x/y", "nonsense", "postgresql://x/y"])
def test_another_kind_of_database_is_refused_in_one_line(url: str) -> None:
    with pytest.raises(StoreUnusable, match="must begin with"):
        Store(url)
