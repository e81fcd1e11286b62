"""Orders: only control's, only the newest, only in their time and place."""

from collections.abc import Callable, Sequence

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from overt.contracts.codec import encode
from overt.contracts.orders import (
    MAX_ORDER_BYTES,
    MAX_ORDER_S,
    SIGNATURE_CONTEXT,
    Order,
    OrderBook,
    OrderRefused,
    SignedOrder,
    sign,
    verify,
)
from overt.contracts.topics import DEPLOYMENTS
from overt.contracts.wire import OrderFeed
from overt.runtime.broker import Record
from overt.runtime.clock import ManualClock
from overt.runtime.memory import MemoryBroker, TopicLimits

NOW_S = 1_700_000_000.0
MakeOrder = Callable[..., Order]


def book_of(key: Ed25519PrivateKey, clock: ManualClock, *orders: Order) -> OrderBook:
    book = OrderBook(key.public_key(), clock.now_s)
    for order in orders:
        book.apply(sign(order, key))
    return book


def signed_as_it_is(body: bytes, key: Ed25519PrivateKey) -> SignedOrder:
    return SignedOrder(order_json=body, signature=key.sign(SIGNATURE_CONTEXT + body))


def test_an_order_of_control_is_verified(key: Ed25519PrivateKey, make_order: MakeOrder) -> None:
    assert verify(sign(make_order(), key), key.public_key()) == make_order()


def test_an_order_signed_by_somebody_else_is_refused(make_order: MakeOrder, key: Ed25519PrivateKey) -> None:
    forged = sign(make_order(), Ed25519PrivateKey.generate())
    with pytest.raises(OrderRefused, match=r"^the signature is not control's$"):
        verify(forged, key.public_key())


@given(st.data())
def test_an_order_with_any_bit_changed_is_refused(
    make_order: MakeOrder, key: Ed25519PrivateKey, data: st.DataObject
) -> None:
    signed = sign(make_order(), key)
    whole = bytearray(signed.order_json + signed.signature)
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    whole[bit // 8] ^= 1 << bit % 8
    changed = SignedOrder(order_json=bytes(whole[:-64]), signature=bytes(whole[-64:]))
    with pytest.raises(OrderRefused, match=r"^the signature is not control's$"):
        verify(changed, key.public_key())


def test_a_signature_over_something_else_is_no_signature_of_an_order(
    make_order: MakeOrder, key: Ed25519PrivateKey
) -> None:
    body = msgspec.json.encode(make_order())
    with pytest.raises(OrderRefused, match=r"^the signature is not control's$"):
        verify(SignedOrder(order_json=body, signature=key.sign(body)), key.public_key())


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not json"),
        (b"[]", "invalid: Expected `object`, got `array`"),
        (b"{}", "invalid: Object missing required field `deployment_id`"),
        (b'{"place":"\xff"}', "invalid: a text is not UTF-8"),
    ],
)
def test_a_malformed_order_is_refused_though_control_signed_it(
    key: Ed25519PrivateKey, body: bytes, reason: str
) -> None:
    with pytest.raises(OrderRefused) as caught:
        verify(signed_as_it_is(body, key), key.public_key())
    assert str(caught.value) == f"the order is malformed: {reason}"


@pytest.mark.parametrize("lasts_s", [0, -1, MAX_ORDER_S + 1, float("inf"), float("nan")])
def test_an_order_is_bounded_in_time(make_order: MakeOrder, lasts_s: float) -> None:
    with pytest.raises(ValueError, match="lasts more than 0 and at most 43200 s"):
        make_order(ends_at_s=NOW_S + lasts_s)
    make_order(ends_at_s=NOW_S + MAX_ORDER_S)


@pytest.mark.parametrize("ends_at", ["1e999", "null", "NaN"])
def test_an_order_without_an_end_is_refused(
    make_order: MakeOrder, key: Ed25519PrivateKey, ends_at: str
) -> None:
    body = msgspec.json.encode(make_order()).replace(
        b'"ends_at_s":1700003600.0', f'"ends_at_s":{ends_at}'.encode()
    )
    assert ends_at.encode() in body
    with pytest.raises(OrderRefused, match="malformed"):
        verify(signed_as_it_is(body, key), key.public_key())


@pytest.mark.parametrize(
    "changes",
    [{"revision": 0}, {"camera_ids": ()}, {"threshold": float("nan")}, {"place": ""}, {"purpose": "covert"}],
)
def test_control_cannot_sign_what_nobody_would_obey(
    make_order: MakeOrder, key: Ed25519PrivateKey, changes: dict[str, object]
) -> None:
    with pytest.raises(ValueError, match=r"^the order is malformed: invalid: "):
        sign(make_order(**changes), key)


def test_the_largest_order_fits_its_topic(make_order: MakeOrder, key: Ed25519PrivateKey) -> None:
    cameras = tuple(f"{number:02}" + "c" * 62 for number in range(64))
    order = make_order(camera_ids=cameras, place="\U0001f4cd" * 200, deployment_id="d" * 64)
    signed = sign(order, key)
    assert len(signed.order_json) < MAX_ORDER_BYTES
    assert encode(DEPLOYMENTS, signed)


def test_an_unknown_deployment_is_not_active(key: Ed25519PrivateKey, make_order: MakeOrder) -> None:
    book = book_of(key, ManualClock(NOW_S), make_order())
    assert book.active("dep-2") is None
    assert book_of(key, ManualClock(NOW_S)).active("dep-1") is None


def test_an_unknown_camera_has_no_order(key: Ed25519PrivateKey, make_order: MakeOrder) -> None:
    book = book_of(key, ManualClock(NOW_S), make_order())
    assert book.for_camera("north") == make_order()
    assert book.for_camera("west") is None


@pytest.mark.parametrize(
    ("now_s", "lawful"),
    [(NOW_S - 0.001, False), (NOW_S, True), (NOW_S + 3_599.999, True), (NOW_S + 3_600, False)],
)
def test_an_order_holds_from_its_start_until_just_before_its_end(
    key: Ed25519PrivateKey, make_order: MakeOrder, now_s: float, lawful: bool
) -> None:
    book = book_of(key, ManualClock(now_s), make_order())
    assert (book.active("dep-1") is not None) == lawful
    assert (book.for_camera("south") is not None) == lawful


def test_an_order_runs_out_by_itself_while_control_is_silent(
    key: Ed25519PrivateKey, make_order: MakeOrder
) -> None:
    clock = ManualClock(NOW_S)
    book = book_of(key, clock, make_order())
    assert book.active("dep-1")
    clock.advance(3_600)
    assert book.active("dep-1") is None
    assert book.known() == {"dep-1": make_order()}


def test_a_clock_that_is_set_back_brings_no_order_back(key: Ed25519PrivateKey, make_order: MakeOrder) -> None:
    clock = ManualClock(NOW_S)
    book = book_of(key, clock, make_order())
    clock.advance(3_601)
    assert book.active("dep-1") is None
    clock.advance(-1_800)
    assert book.active("dep-1") is None
    assert book.for_camera("north") is None


def test_a_stop_replaces_the_active_order(key: Ed25519PrivateKey, make_order: MakeOrder) -> None:
    book = book_of(key, ManualClock(NOW_S), make_order(), make_order(revision=2, state="stopped"))
    assert book.active("dep-1") is None
    assert book.for_camera("north") is None
    assert book.known()["dep-1"].state == "stopped"


def test_an_older_order_cannot_undo_a_stop(key: Ed25519PrivateKey, make_order: MakeOrder) -> None:
    book = book_of(key, ManualClock(NOW_S), make_order(revision=3, state="stopped"))
    for revision in (1, 2):
        with pytest.raises(OrderRefused, match=rf"^revision {revision} is older than 3: replayed$"):
            book.apply(sign(make_order(revision=revision), key))
    assert book.active("dep-1") is None


def test_two_different_orders_cannot_share_a_revision(key: Ed25519PrivateKey, make_order: MakeOrder) -> None:
    book = book_of(key, ManualClock(NOW_S), make_order())
    with pytest.raises(OrderRefused, match=r"^two different orders claim revision 1$"):
        book.apply(sign(make_order(threshold=0.1), key))
    active = book.active("dep-1")
    assert active is not None
    assert active.threshold == 0.42


def test_the_newest_order_may_be_told_again(key: Ed25519PrivateKey, make_order: MakeOrder) -> None:
    book = book_of(key, ManualClock(NOW_S), make_order(), make_order())
    assert book.active("dep-1") == make_order()


@pytest.mark.parametrize(
    ("known", "state"), [("ended", "active"), ("ended", "stopped"), ("stopped", "active")]
)
def test_nothing_begins_a_deployment_again_that_was_stopped_or_has_ended(
    key: Ed25519PrivateKey, make_order: MakeOrder, known: str, state: str
) -> None:
    book = book_of(key, ManualClock(NOW_S), make_order(revision=2, state=known))
    with pytest.raises(OrderRefused, match=rf"^the deployment is {known}: nothing makes it {state} again$"):
        book.apply(sign(make_order(revision=3, state=state), key))
    book.apply(sign(make_order(revision=4, state="ended"), key))
    assert book.active("dep-1") is None


@given(orders=st.permutations([(1, "active"), (2, "active"), (3, "stopped"), (4, "stopped"), (5, "ended")]))
def test_the_book_comes_out_the_same_in_whatever_order_orders_arrive(
    key: Ed25519PrivateKey, make_order: MakeOrder, orders: Sequence[tuple[int, str]]
) -> None:
    book = OrderBook(key.public_key(), ManualClock(NOW_S).now_s)
    for revision, state in orders:
        signed = sign(make_order(revision=revision, state=state), key)
        try:
            book.apply(signed)
        except OrderRefused:
            assert revision < book.known()["dep-1"].revision
    assert book.known()["dep-1"].revision == 5


def test_of_two_orders_for_one_camera_the_one_issued_last_holds(
    key: Ed25519PrivateKey, make_order: MakeOrder
) -> None:
    older = make_order(deployment_id="dep-b", issued_at_s=NOW_S - 90)
    newer = make_order(deployment_id="dep-a", issued_at_s=NOW_S - 80)
    twin = make_order(deployment_id="dep-c", issued_at_s=NOW_S - 80)
    for orders in ((older, newer, twin), (twin, newer, older)):
        assert book_of(key, ManualClock(NOW_S), *orders).for_camera("north") == twin


def test_the_feed_reports_what_is_refused_and_keeps_the_good(
    key: Ed25519PrivateKey, make_order: MakeOrder
) -> None:
    broker = MemoryBroker({DEPLOYMENTS.name: TopicLimits(compacted=True)}, ManualClock(NOW_S))
    book, refused = OrderBook(key.public_key(), ManualClock(NOW_S).now_s), list[str]()
    feed = OrderFeed(broker.table(DEPLOYMENTS.name), book, refused.append)
    forged = sign(make_order(deployment_id="dep-2"), Ed25519PrivateKey.generate())
    values = {
        b"dep-1": encode(DEPLOYMENTS, sign(make_order(), key)),
        b"dep-2": encode(DEPLOYMENTS, forged),
        b"dep-3": b"\xc1",
        b"dep-4": None,
        b"dep-5": encode(DEPLOYMENTS, sign(make_order(deployment_id="dep-5"), key)),
    }
    for record_key, value in values.items():
        broker.producer().produce(DEPLOYMENTS.name, record_key, value)
    feed.poll()
    assert sorted(book.known()) == ["dep-1", "dep-5"]
    assert refused == [
        "the signature is not control's",
        "not msgpack",
        "an order was taken off the topic: what is known of it stays",
    ]
    feed.poll()
    assert len(refused) == 3


def test_an_order_taken_off_the_topic_is_not_forgotten(key: Ed25519PrivateKey, make_order: MakeOrder) -> None:
    """Forgetting its revision would let an older one in again."""

    class Reader:
        def __init__(self, values: list[bytes | None]) -> None:
            self._values = values

        def poll(self) -> Sequence[Record]:
            records = [Record(DEPLOYMENTS.name, 0, n, b"dep-1", v, 0) for n, v in enumerate(self._values)]
            self._values = []
            return records

        def caught_up(self) -> bool:
            return not self._values

        def close(self) -> None:
            pass

    stopped = encode(DEPLOYMENTS, sign(make_order(revision=2, state="stopped"), key))
    replayed = encode(DEPLOYMENTS, sign(make_order(), key))
    book, refused = OrderBook(key.public_key(), ManualClock(NOW_S).now_s), list[str]()
    OrderFeed(Reader([stopped, None, replayed]), book, refused.append).poll()
    assert book.active("dep-1") is None
    assert refused[-1] == "revision 1 is older than 2: replayed"


def test_revisions_can_not_carry_a_deployment_past_its_twelve_hours(
    key: Ed25519PrivateKey, make_order: MakeOrder
) -> None:
    first = make_order()
    book = book_of(key, ManualClock(NOW_S), first)
    late_s = first.starts_at_s + 12 * 3_600
    later = make_order(revision=2, starts_at_s=late_s - 600, ends_at_s=late_s + 1)
    with pytest.raises(OrderRefused, match=r"^a deployment lasts at most 43200 s from its first start$"):
        book.apply(sign(later, key))
    assert book.known()["dep-1"] == first
