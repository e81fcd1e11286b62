"""A decoder in a thread of this process: the child's work without the child, for what tests put into it."""

import contextlib
import os
import threading

from overt.ingest.child import Work
from overt.ingest.picture import OpenSource
from overt.ingest.piped import TOLD, Inlet, Job, Told


class DecoderThread:
    """See Decoder."""

    def __init__(self, job: Job, open_source: OpenSource) -> None:
        self._reading_end, self._writing_end = os.pipe()
        self._inlet = Inlet(self._reading_end, TOLD)
        self._work = Work(job, self._writing_end, open_source)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def take(self, timeout_s: float) -> Told | None:
        return self._inlet.take(timeout_s)

    def kill(self) -> None:
        self._work.halt()
        os.close(self._reading_end)
        self._thread.join()

    def _run(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._work.run()
        os.close(self._writing_end)
