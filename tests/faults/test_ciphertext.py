"""What is left on the brokers' disks is noise once the epoch of its key is over: nobody can open it."""

import pytest

from overt.contracts.topics import FACES, FRAMES, TEMPLATES
from overt.contracts.wire import TopicWire
from overt.control.policy import SERVICES
from overt.runtime.envelope import key_id_of
from overt.runtime.keys import KeyGone, KeySource

from .run import Run
from .stage import Stage
from .test_odd_records import newest

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.models, pytest.mark.timeout(900)]

READERS = {"detect": FRAMES, "embed": FACES, "match": TEMPLATES}
SHORT = {"OVERT_KEY_EPOCH_S": "5", "OVERT_KEY_LINGER_S": "5"}


def is_gone(keys: KeySource, key_id: str) -> bool:
    try:
        keys.by_id(key_id)
    except KeyGone:
        return True
    return False


def test_after_the_epoch_nobody_can_open_what_stands_on_disk(stage: Stage) -> None:
    stage.begin_anew("control", **SHORT)
    try:
        stage.order_all()
        run = Run(stage)
        run.watch(stage.recording.in_s)
        records = {}
        for service, topic in READERS.items():
            records[service] = newest(stage, topic)
        everybody = {str(name): stage.system.keys_of(name) for name in SERVICES}
        for service, topic in READERS.items():
            # Whoever may read it can, while the epoch lasts.
            assert TopicWire(topic, everybody[service]).open(records[service])
        segments = stage.system.topics.keep_segments(stage.system.folder, list(READERS.values()))
        ids = [key_id_of(record.value or b"") for record in records.values()]
        stage.until(
            lambda: all(is_gone(keys, key_id) for keys in everybody.values() for key_id in ids),
            "the keys are gone, also from the memory of whoever held them",
        )
        on_disk = b"".join(path.read_bytes() for path in segments)
        for service, topic in READERS.items():
            assert (records[service].value or b"") in on_disk  # it is still there, and stays closed
            afresh = stage.system.keys_of(service)
            for keys in (everybody[service], afresh):
                with pytest.raises(KeyGone):
                    TopicWire(topic, keys).open(records[service])
            afresh.close()
        for keys in everybody.values():
            keys.close()
    finally:
        stage.stop_orders()
        stage.begin_anew("control")
