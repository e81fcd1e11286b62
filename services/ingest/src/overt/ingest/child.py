"""`python -m overt.ingest.child`: the process that decodes one camera, told by and telling ingest over pipes."""

import ctypes
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count

from overt.contracts.pictures import MAX_JPEG_BYTES
from overt.ingest.camera import open_source
from overt.ingest.errors import SourceLost, SourceRefused
from overt.ingest.jpeg import JpegEncoder
from overt.ingest.picture import OpenOptions, OpenSource
from overt.ingest.piped import JOBS, Finished, Inlet, Job, Sampled, send
from overt.ingest.reading import Play, Reader, Taken
from overt.ingest.source import Source
from overt.ingest.tally import Tally
from overt.runtime.process import leave_no_core

# How soon what was counted is told while no picture goes out.
REPORT_S = 0.25
TOLD_WITHIN_S = 10.0
PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4


class SharedClock:
    """The parent's clock: the machine's monotonic one, carried on to the parent's idea of UNIX time."""

    def __init__(self, ahead_ns: int) -> None:
        self._ahead_ns = ahead_ns

    def now_ns(self) -> int:
        """See Clock."""
        return time.monotonic_ns() + self._ahead_ns

    def now_s(self) -> float:
        """See Clock."""
        return self.now_ns() / 1e9

    def monotonic_s(self) -> float:
        """See Clock."""
        return time.monotonic()


class Work:
    """Decodes as one job says, from its first picture to its end."""

    def __init__(self, job: Job, pipe: int, open_source: OpenSource = open_source) -> None:
        self._job = job
        self._pipe = pipe
        self._tally = Tally()
        self._encoder = JpegEncoder(job.jpeg_quality)
        self._reader = Reader(
            Source(job.kind, job.address, job.shown),
            Play(live=job.live, rate_hz=job.rate_hz, loop=job.loop),
            open_source=open_source,
            open_options=OpenOptions(
                rate_hz=job.rate_hz,
                decode_threads=job.decode_threads,
                open_timeout_s=job.open_timeout_s,
                read_timeout_s=job.read_timeout_s,
            ),
            clock=SharedClock(job.clock_ahead_ns),
            tally=self._tally,
            sequence=count(job.first_sequence),
        )

    def run(self) -> None:
        """Decode in one thread, encode and tell in another. Raises BrokenPipeError when nobody listens."""
        pool = ThreadPoolExecutor(2, thread_name_prefix="work")
        reading, telling = pool.submit(self._reader.run), pool.submit(self._tell)
        error = telling.exception()
        self._reader.halt()
        if isinstance(error, BrokenPipeError):
            raise error
        self._report()
        send(self._pipe, last_word(error or reading.exception()))

    def halt(self) -> None:
        """Decode nothing more than the picture in hand; may be called from any thread."""
        self._reader.halt()

    def _tell(self) -> None:
        slot = self._reader.slot
        while not slot.is_drained:
            taken = slot.take(REPORT_S)
            self._report()
            if taken is not None:
                self._encode(taken)

    def _report(self) -> None:
        counted = self._tally.take()
        if counted is not None:
            send(self._pipe, counted)

    def _encode(self, taken: Taken) -> None:
        begun_s = time.perf_counter()
        jpeg, width_px, height_px = self._encoder.encode(taken.frame)
        encode_s = time.perf_counter() - begun_s
        if len(jpeg) > MAX_JPEG_BYTES:
            self._tally.drop("oversize")
            return
        send(
            self._pipe,
            Sampled(
                taken.sequence, taken.captured_at_ns, taken.read_at_ns, width_px, height_px, encode_s, jpeg
            ),
        )


def last_word(error: BaseException | None) -> Finished:
    """Return how a child says what ended it. Only the texts of SourceError are safe to show."""
    if error is None:
        return Finished("end")
    if isinstance(error, SourceRefused):
        return Finished("refused", str(error))
    if isinstance(error, SourceLost):
        return Finished("lost", str(error))
    # FFmpeg's errors repeat the address: say which and where, never what.
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""  # noqa: PTH119
    return Finished("crashed", f"its decoder failed: {type(error).__name__}{where}")


def die_with_parent() -> None:
    """Have the kernel kill this process with its parent."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def hide_memory() -> None:
    """Have no memory of this process written to a disk, nor read by others of its user.

    It decodes what strangers send, so it is the likeliest to crash: here the limit is not all there is.
    """
    leave_no_core()
    _prctl(PR_SET_DUMPABLE, 0)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, int(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")


def end_at_eof(pipe: int, end: Callable[[], None]) -> None:
    """Call `end` when the other side of `pipe` is closed: the parent is done with us, or dead."""
    while os.read(pipe, 1):
        pass
    end()


def main() -> None:
    """Take the job from standard input, tell on standard output. Does not return: no thread can hold it."""
    # A Ctrl-C in a terminal reaches every process of its group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    hide_memory()
    told, telling = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):  # whatever prints is not to write between the messages
        os.dup2(nothing, number)
    job = Inlet(told, JOBS).take(TOLD_WITHIN_S)
    if job is None:
        os._exit(2)
    threading.Thread(target=end_at_eof, args=(told, lambda: os._exit(0)), daemon=True).start()
    try:
        Work(job, telling).run()
    except BrokenPipeError:
        os._exit(0)
    os._exit(0)


if __name__ == "__main__":
    main()
