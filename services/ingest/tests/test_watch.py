import math

from prometheus_client import CollectorRegistry

from overt.ingest.metrics import IngestMetrics
from overt.ingest.watch import STALE_S, Watch
from overt.runtime.clock import ManualClock
from overt.runtime.health import Health


class Bench:
    def __init__(self) -> None:
        self.clock, self.health = ManualClock(), Health()
        metrics = IngestMetrics(CollectorRegistry()).for_camera("north")
        self.watch = Watch("north", self.clock, health=self.health, metrics=metrics)


def test_a_camera_that_falls_silent_under_an_order_is_a_problem_until_it_gives_a_frame() -> None:
    bench = Bench()
    bench.watch.capture_begins()
    bench.watch.frame_sent()
    bench.clock.advance(STALE_S)
    bench.watch.check()
    assert bench.health.problems() == {}
    bench.clock.advance(0.1)
    bench.watch.check()
    assert bench.health.problems() == {"camera north": "no frame for more than 5 s"}
    bench.watch.frame_sent()
    assert bench.health.problems() == {}


def test_time_without_an_order_does_not_count_as_silence() -> None:
    bench = Bench()
    bench.watch.frame_sent()
    bench.clock.advance(3600)
    bench.watch.capture_begins()
    bench.watch.check()
    assert bench.health.problems() == {}


def test_a_lost_camera_is_a_problem_until_nothing_is_expected_of_it() -> None:
    bench = Bench()
    bench.watch.lost("rtsp://host was lost: Connection refused")
    assert bench.health.problems() == {"camera north": "rtsp://host was lost: Connection refused"}
    bench.watch.capture_ends()
    assert bench.health.problems() == {}


def test_the_age_counts_from_the_last_frame() -> None:
    bench = Bench()
    assert math.isnan(bench.watch.age_s())
    bench.watch.frame_sent()
    bench.clock.advance(2)
    assert bench.watch.age_s() == 2
