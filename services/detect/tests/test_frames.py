"""Which frames are looked at: fresh ones, once, in order, as far as they can be read."""

from .conftest import FRAME_NS, DrawnFace, World

FACE = DrawnFace(200, 200)


def test_a_live_frame_older_than_the_budget_is_counted_and_skipped(watched: World) -> None:
    frame = watched.frame()
    watched.clock.advance(0.6)
    watched.handle(frame)
    assert watched.skipped("stale") == 1
    assert watched.finder.sizes_wh == []


def test_the_budget_is_for_the_moment_a_frame_is_looked_at(watched: World) -> None:
    frames = [watched.frame(captured_at_ns=watched.clock.now_ns() + n * FRAME_NS) for n in range(3)]
    watched.clock.advance(0.4)
    outs = watched.core.handle(frames)
    look = watched.finder.detect

    def slow_detect(*args: object, **kwargs: object) -> object:
        watched.clock.advance(0.2)
        return look(*args, **kwargs)  # type: ignore[arg-type]

    watched.finder.detect = slow_detect  # type: ignore[method-assign, assignment]
    assert list(outs) == []
    assert len(watched.finder.sizes_wh) == 1
    assert watched.skipped("stale") == 2


def test_a_batch_behind_is_caught_up_at_its_newest_frame(watched: World) -> None:
    old = watched.frame()
    watched.clock.advance(0.45)
    fresh = watched.frame()
    watched.clock.advance(0.1)
    newest = watched.frame()
    watched.handle(old, fresh, newest)
    assert (watched.skipped("stale"), watched.skipped("superseded")) == (1, 1)
    assert len(watched.finder.sizes_wh) == 1


def test_a_frame_of_a_file_is_looked_at_however_late(watched: World) -> None:
    frame = watched.frame(live=False)
    watched.clock.advance(60)
    watched.handle(frame)
    assert len(watched.finder.sizes_wh) == 1


def test_a_frame_delivered_twice_is_looked_at_once(watched: World) -> None:
    watched.finder.faces = (FACE,)
    frame = watched.frame()
    watched.handle(frame)
    watched.handle(frame, frame)
    assert watched.count("faces") == 1
    assert watched.skipped("repeated") == 2


def test_a_clock_set_back_begins_anew_instead_of_waiting_for_the_old_time(watched: World) -> None:
    hour_ns = 3_600 * 10**9
    before = watched.watch(3, [FACE])
    first = watched.frame(captured_at_ns=watched.clock.now_ns() - hour_ns)
    flushed = watched.handle(first)
    after = [
        one
        for n in range(1, 9)
        for one in watched.handle(watched.frame(captured_at_ns=first.captured_at_ns + n * FRAME_NS))
    ]
    assert before == []
    assert len(flushed) == len(after) == 1
    assert flushed[0].shot.track_id != after[0].shot.track_id


def test_a_damaged_frame_is_counted_and_the_next_one_is_looked_at(watched: World) -> None:
    data = watched.picture_jpeg
    damaged = watched.frame(jpeg=data[: len(data) // 2] + b"\xff\xd9")
    watched.clock.advance(0.04)
    watched.handle(damaged, watched.frame())
    assert watched.skipped("unreadable") == 1
    assert len(watched.finder.sizes_wh) == 1


def test_without_frames_nothing_happens(watched: World) -> None:
    assert watched.handle() == []
