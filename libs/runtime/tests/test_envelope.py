"""Sealed payloads: whatever is changed or moved is refused."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from overt.runtime.envelope import DataKey, NotSealed, is_sealed, key_id_of, seal, unseal

TOPIC, RECORD_KEY = "faces.v1", b"camera-1"
KEY = DataKey("camp/epoch/0011", "camp", bytes(range(32)), 1_700_000_000.0)


def sealed(plaintext: bytes, key: DataKey = KEY) -> bytes:
    return seal(plaintext, key, topic=TOPIC, record_key=RECORD_KEY)


KEYS = st.builds(
    DataKey,
    key_id=st.text(st.characters(max_codepoint=127), min_size=1, max_size=200),
    scope=st.text(max_size=50),
    secret=st.binary(min_size=32, max_size=32),
    not_after_s=st.none(),
)


@given(st.binary(max_size=2_000), KEYS, st.text(max_size=50), st.binary(max_size=50))
def test_what_was_sealed_opens_to_the_same_bytes(
    plaintext: bytes, key: DataKey, topic: str, record_key: bytes
) -> None:
    value = seal(plaintext, key, topic=topic, record_key=record_key)
    assert is_sealed(value)
    assert key_id_of(value) == key.key_id
    assert unseal(value, key, topic=topic, record_key=record_key) == plaintext


@given(plaintext=st.binary(max_size=100), data=st.data())
def test_any_flipped_bit_is_refused(plaintext: bytes, data: st.DataObject) -> None:
    value = bytearray(sealed(plaintext))
    bit = data.draw(st.integers(0, 8 * len(value) - 1))
    value[bit // 8] ^= 1 << bit % 8
    with pytest.raises(NotSealed):
        unseal(bytes(value), KEY, topic=TOPIC, record_key=RECORD_KEY)


@given(plaintext=st.binary(max_size=100), data=st.data())
def test_anything_cut_off_or_added_is_refused(plaintext: bytes, data: st.DataObject) -> None:
    value = sealed(plaintext)
    end = data.draw(st.integers(0, len(value) - 1))
    for changed in (value[:end], value + b"\x00"):
        with pytest.raises(NotSealed):
            unseal(changed, KEY, topic=TOPIC, record_key=RECORD_KEY)


@given(st.text(max_size=20), st.binary(max_size=20))
@example("faces.v", b"1camera-1")
@example("faces.v1", b"camera-2")
@example("frames.v1", b"camera-1")
def test_another_topic_or_record_key_is_refused(topic: str, record_key: bytes) -> None:
    if (topic, record_key) == (TOPIC, RECORD_KEY):
        return
    with pytest.raises(NotSealed):
        unseal(sealed(b"face"), KEY, topic=topic, record_key=record_key)


@pytest.mark.parametrize(
    "other",
    [
        DataKey(KEY.key_id, "other", KEY.secret, None),
        DataKey(KEY.key_id, KEY.scope, bytes(32), None),
        DataKey("camp/epoch/0012", KEY.scope, KEY.secret, None),
    ],
    ids=["scope", "secret", "id"],
)
def test_another_key_is_refused(other: DataKey) -> None:
    with pytest.raises(NotSealed):
        unseal(sealed(b"face"), other, topic=TOPIC, record_key=RECORD_KEY)


@given(st.binary(max_size=300))
@example(b"OV1")
@example(b"OV1\x00" + bytes(40))
@example(b"OV1\x02\xff\xff" + bytes(40))
def test_bytes_that_were_never_sealed_are_refused(value: bytes) -> None:
    with pytest.raises(NotSealed):
        unseal(value, KEY, topic=TOPIC, record_key=RECORD_KEY)


def test_the_same_plaintext_is_never_sealed_to_the_same_bytes() -> None:
    assert len({sealed(b"face") for _ in range(50)}) == 50


def test_the_plaintext_does_not_show() -> None:
    assert b"a face in the clear" not in sealed(b"a face in the clear")


@pytest.mark.parametrize("key_id", ["", "x" * 201, "clé"])
def test_a_key_id_that_could_not_be_read_back_is_refused(key_id: str) -> None:
    with pytest.raises(ValueError, match="key id"):
        sealed(b"face", DataKey(key_id, "camp", bytes(32), None))


def test_a_key_does_not_show_its_secret() -> None:
    assert repr(KEY) == "DataKey('camp/epoch/0011')"
    assert KEY.secret.hex() not in f"{KEY}"
