"""Orders and keys: what is signed, published, closed, erased, and what a restart keeps."""

import dataclasses
import threading
import time
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from overt.contracts.orders import MAX_ORDER_S
from overt.contracts.topics import DEPLOYMENTS
from overt.contracts.wire import memory_topics
from overt.control.errors import DataFolderBusy, DraftRefused, KeyStoreError, ListInUse, Unknown, WrongKek
from overt.control.policy import OrderDraft
from overt.control.tables import KeyRow, PictureRow
from overt.recognition.errors import GalleryUnavailable
from overt.runtime.broker import Undelivered
from overt.runtime.keys import KeyGone
from overt.runtime.memory import MemoryBroker


@pytest.fixture
def control(bench: Any) -> Any:
    control = bench.start()
    control.enrol_folder(bench.write(ada="face ada", bo="face bo"), "w1", category="blue_list")
    return control


def states(bench: Any, control: Any) -> list[tuple[str, int, str]]:
    return [(o.deployment_id, o.revision, o.state) for o in bench.published(control)]


def test_an_order_is_signed_and_published_with_the_size_and_the_pack_of_its_list(
    bench: Any, control: Any, draft: OrderDraft
) -> None:
    order = control.issue_order(draft)
    assert (order.watchlist_size, order.fingerprint, order.revision) == (2, "a" * 64, 1)
    assert bench.published(control) == [order]


def test_a_refused_draft_leaves_no_order_and_no_key(bench: Any, control: Any, draft: OrderDraft) -> None:
    too_long = dataclasses.replace(draft, ends_at_s=draft.starts_at_s + MAX_ORDER_S + 1, threshold=0.1)
    with pytest.raises(DraftRefused) as refused:
        control.issue_order(too_long)
    assert len(refused.value.reasons) == 2
    assert bench.published(control) == []
    with pytest.raises(KeyGone):
        control.keys.current("d1", "epoch")


@pytest.mark.parametrize("deployment_id", ["", "a b", "../x", "x" * 65])
def test_a_deployment_id_that_services_could_not_read_is_refused(
    control: Any, draft: OrderDraft, deployment_id: str
) -> None:
    with pytest.raises(DraftRefused):
        control.issue_order(dataclasses.replace(draft, deployment_id=deployment_id))
    assert control.orders() == {}


def test_a_second_order_for_a_deployment_is_refused(control: Any, draft: OrderDraft) -> None:
    control.issue_order(draft)
    with pytest.raises(DraftRefused, match="already has an order"):
        control.issue_order(draft)


def test_stopping_destroys_the_epoch_keys_and_keeps_the_lasting_one(
    bench: Any, control: Any, draft: OrderDraft
) -> None:
    control.issue_order(draft)
    epoch, lasting = control.keys.current("d1", "epoch"), control.keys.current("d1", "lasting")
    control.stop("d1")
    with pytest.raises(KeyGone):
        control.keys.by_id(epoch.key_id)
    with pytest.raises(KeyGone):
        control.keys.current("d1", "epoch")
    assert control.keys.by_id(lasting.key_id) == lasting
    assert states(bench, control)[-1] == ("d1", 2, "stopped")


def test_stopping_keeps_the_list_for_the_judges_and_ending_erases_it(
    bench: Any, control: Any, draft: OrderDraft
) -> None:
    control.issue_order(draft)
    control.stop("d1")
    assert control.entry_card("w1", "ada").label == "ada"
    control.end("d1")
    with pytest.raises(Unknown):
        control.entry_card("w1", "ada")
    assert bench.gallery.collections == {}
    with pytest.raises(KeyGone):
        control.keys.current("watchlist.w1", "lasting")


def test_after_the_end_no_sealed_picture_label_or_wrapped_key_is_left_on_disk(
    bench: Any, control: Any, draft: OrderDraft
) -> None:
    with Session(control._parts.engine) as session:
        secrets = [row.sealed for row in session.scalars(select(PictureRow))]
        secrets += [row.wrapped for row in session.scalars(select(KeyRow)) if "w1" in row.scope]
    assert len(secrets) == 4
    assert all(secret[-64:] in bench.bytes_on_disk() for secret in secrets)
    control.issue_order(draft)
    control.end("d1")
    assert not any(secret[-32:] in bench.bytes_on_disk() for secret in secrets)


def test_revisions_grow_and_an_ended_order_stays_as_it_is(
    bench: Any, control: Any, draft: OrderDraft
) -> None:
    control.issue_order(draft)
    control.stop("d1")
    control.stop("d1")
    control.end("d1")
    control.end("d1")
    control.stop("d1")
    assert states(bench, control)[-1] == ("d1", 3, "ended")


@pytest.mark.parametrize("action", ["stop", "end"])
def test_an_unknown_deployment_is_said_to_be_unknown(control: Any, action: str) -> None:
    with pytest.raises(Unknown, match="no deployment d9"):
        getattr(control, action)("d9")


def test_an_order_ends_by_itself_when_its_time_has_passed(
    bench: Any, control: Any, draft: OrderDraft
) -> None:
    control.issue_order(draft)
    bench.clock.advance(3599)
    control.tick()
    assert control.orders()["d1"].state == "active"
    bench.clock.advance(1)
    control.tick()
    assert states(bench, control)[-1] == ("d1", 2, "ended")
    assert bench.gallery.collections == {}


def test_the_runner_ticks_until_it_is_told_to_stop(bench: Any, control: Any, draft: OrderDraft) -> None:
    control.issue_order(draft)
    bench.clock.advance(3600)
    stop, reader = threading.Event(), bench.broker.table(DEPLOYMENTS.name)
    thread = threading.Thread(target=control.run, args=(stop,))
    thread.start()
    try:
        while control.orders()["d1"].state != "ended":
            assert thread.is_alive()
    finally:
        stop.set()
        thread.join()
    assert reader.poll()


def test_a_list_that_is_over_while_the_gallery_is_away_is_erased_once_it_answers(
    bench: Any, control: Any, draft: OrderDraft, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise GalleryUnavailable("the gallery does not answer")

    control.issue_order(draft)
    with monkeypatch.context() as outage:
        outage.setattr(bench.gallery, "drop", away)
        control.end("d1")
        assert states(bench, control)[-1] == ("d1", 2, "ended")  # the end waits for nobody
        control.tick()
        assert "not erased yet" in bench.health.problems()["erasure"]
        assert control.kept_watchlists() == ("w1",)
    control.tick()
    assert "erasure" not in bench.health.problems()
    assert control.kept_watchlists() == ()
    assert bench.gallery.collections == {}


def test_a_gallery_that_hangs_holds_up_no_stop(
    bench: Any, control: Any, draft: OrderDraft, monkeypatch: pytest.MonkeyPatch
) -> None:
    control.enrol_folder(bench.pictures, "w2", category="blue_list")
    control.issue_order(draft)
    control.issue_order(dataclasses.replace(draft, deployment_id="d2", watchlist_id="w2"))
    stopped = list[bool]()

    def hangs_and_fails(*_: object) -> None:
        stopping = threading.Thread(target=control.stop, args=("d2",), daemon=True)
        stopping.start()
        stopping.join(10)
        stopped.append(not stopping.is_alive())
        raise GalleryUnavailable("the gallery does not answer")

    for call in ("exists", "drop"):
        monkeypatch.setattr(bench.gallery, call, hangs_and_fails)
    control.end("d1")
    assert stopped == [True]
    assert ("d2", 2, "stopped") in states(bench, control)


def test_an_end_destroys_the_epoch_keys_though_something_else_holds_the_lock(
    control: Any, draft: OrderDraft
) -> None:
    control.issue_order(draft)
    epoch = control.keys.current("d1", "epoch")
    ending = threading.Thread(target=control.end, args=("d1",), daemon=True)
    with control._parts.deployments.lock:
        ending.start()
        deadline_s = time.monotonic() + 20
        while epoch.key_id in control.keys.key_ids():
            assert time.monotonic() < deadline_s
            ending.join(0.01)
        assert control.orders()["d1"].state == "active"
    ending.join()
    assert control.orders()["d1"].state == "ended"


def test_a_database_that_fails_does_not_end_the_runner(
    bench: Any, control: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, seen = threading.Event(), list[str]()

    def failing_once() -> None:
        if not seen:
            seen.append("failed")
            raise OperationalError("SELECT", {}, OSError("disk is full"))
        seen.append(bench.health.problems()["database"])
        stop.set()

    monkeypatch.setattr(control, "tick", failing_once)
    control.run(stop)
    assert seen == ["failed", "the database does not answer: OSError"]
    assert "database" not in bench.health.problems()


def test_a_list_used_by_two_deployments_is_erased_with_the_last(
    bench: Any, control: Any, draft: OrderDraft
) -> None:
    control.issue_order(draft)
    control.issue_order(dataclasses.replace(draft, deployment_id="d2"))
    control.end("d1")
    assert control.entry_card("w1", "ada").label == "ada"
    with pytest.raises(ListInUse):
        control.erase_watchlist("w1")
    control.end("d2")
    assert bench.gallery.collections == {}


def test_a_list_nobody_used_for_a_day_is_erased(bench: Any, control: Any) -> None:
    bench.clock.advance(24 * 3600)
    control.tick()
    assert control.entry_card("w1", "ada").label == "ada"
    bench.clock.advance(1)
    control.tick()
    assert bench.gallery.collections == {}


def test_importing_again_makes_a_list_fresh(bench: Any, control: Any, draft: OrderDraft) -> None:
    bench.clock.advance(20 * 3600)
    control.enrol_folder(bench.pictures, "w1", category="blue_list")
    start_s = draft.starts_at_s + 40 * 3600
    later = dataclasses.replace(draft, starts_at_s=start_s, ends_at_s=start_s + 60)
    assert control.issue_order(later).watchlist_size == 2


def test_a_restart_keeps_lasting_keys_and_begins_a_new_epoch(
    bench: Any, control: Any, draft: OrderDraft
) -> None:
    control.issue_order(draft)
    scopes = ("d1", "watchlist.w1")
    lasting = {scope: control.keys.current(scope, "lasting") for scope in scopes}
    epoch, public = control.keys.current("d1", "epoch"), control.order_key.public_bytes_raw()
    again = bench.start()
    assert {scope: again.keys.current(scope, "lasting") for scope in scopes} == lasting
    assert again.keys.current("d1", "epoch").secret != epoch.secret
    with pytest.raises(KeyGone):
        again.keys.by_id(epoch.key_id)
    assert again.order_key.public_bytes_raw() == public
    assert again.entry_card("w1", "ada").label == "ada"


def test_after_a_restart_a_stopped_deployment_has_its_lasting_key_and_no_epoch(
    bench: Any, control: Any, draft: OrderDraft
) -> None:
    control.issue_order(draft)
    lasting = control.keys.current("d1", "lasting")
    control.stop("d1")
    again = bench.start()
    assert again.keys.current("d1", "lasting") == lasting
    with pytest.raises(KeyGone):
        again.keys.current("d1", "epoch")


def test_after_a_restart_a_broker_that_forgot_is_told_every_order_again(
    bench: Any, control: Any, draft: OrderDraft
) -> None:
    control.issue_order(draft)
    control.stop("d1")
    bench.broker = MemoryBroker(memory_topics(), bench.clock)
    assert states(bench, bench.start()) == [("d1", 2, "stopped")]


def test_an_order_that_ran_out_while_control_was_down_is_ended_at_the_start(
    bench: Any, control: Any, draft: OrderDraft
) -> None:
    control.issue_order(draft)
    bench.stop()
    bench.clock.advance(3600)
    again = bench.start()
    assert again.orders()["d1"].state == "ended"
    assert bench.gallery.collections == {}
    with pytest.raises(KeyGone):
        again.keys.current("d1", "epoch")


def test_an_erasure_that_was_cut_short_is_finished_at_the_next_start(
    bench: Any, control: Any, draft: OrderDraft, monkeypatch: pytest.MonkeyPatch
) -> None:
    control.issue_order(draft)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(bench.gallery, "drop", die)
        with pytest.raises(KeyboardInterrupt):
            control.end("d1")
    again = bench.start()
    assert bench.gallery.collections == {}
    with pytest.raises(Unknown):
        again.entry_card("w1", "ada")


class DeafBroker:
    """A broker whose producer confirms nothing while `deaf`."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.deaf = inner, True

    def producer(self) -> Any:
        broker, real = self, self.inner.producer()

        class Producer:
            def produce(self, *args: Any) -> None:
                if not broker.deaf:
                    real.produce(*args)

            def flush(self, timeout_s: float) -> None:
                if broker.deaf:
                    raise Undelivered("nothing was confirmed")

            close = real.close

        return Producer()


def test_an_order_that_could_not_be_published_is_kept_reported_and_published_later(
    bench: Any, draft: OrderDraft
) -> None:
    broker = DeafBroker(bench.broker)
    broker.deaf = False
    control = bench.start(broker)
    control.enrol_folder(bench.write(ada="face ada"), "w1", category="blue_list")
    broker.deaf = True
    control.issue_order(draft)
    control.stop("d1")
    with pytest.raises(KeyGone):
        control.keys.current("d1", "epoch")
    control.tick()
    assert bench.health.problems() == {"orders": "2 revisions of orders are not published"}
    assert bench.published(control) == []
    broker.deaf = False
    control.tick()
    assert bench.health.problems() == {}
    assert states(bench, control)[-1] == ("d1", 2, "stopped")


def test_a_second_control_on_the_same_data_folder_is_refused(bench: Any, control: Any) -> None:
    first, bench.running = bench.running, None
    with pytest.raises(DataFolderBusy, match="another process uses"):
        bench.start()
    first.close()
    assert bench.start() is not None


def test_a_wrong_key_encryption_key_is_noticed_at_the_start(bench: Any, control: Any) -> None:
    bench.options = lambda options: dataclasses.replace(options, kek=SecretStr("QUFB" * 10 + "QUE="))
    with pytest.raises((WrongKek, KeyStoreError)):
        bench.start()


def test_another_signing_key_is_noticed_at_the_start(bench: Any, control: Any, draft: OrderDraft) -> None:
    control.issue_order(draft)
    (bench.folder / "keys" / "order-signing").unlink()
    with pytest.raises(KeyStoreError, match="not signed with this signing key"):
        bench.start()


def test_the_keys_of_a_scope_can_be_destroyed_for_good(bench: Any, control: Any, draft: OrderDraft) -> None:
    control.issue_order(draft)
    control.end("d1")
    assert control.forget("d1")
    with pytest.raises(KeyGone):
        control.keys.current("d1", "lasting")
    with pytest.raises(KeyGone):
        bench.start().keys.current("d1", "lasting")
