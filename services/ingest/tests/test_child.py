"""The camera's child as the kernel sees it."""

import subprocess
import sys

CHILD = """
import ctypes, resource
from overt.ingest.child import hide_memory

hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
hide_memory()
PR_GET_DUMPABLE = 3
print(ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE)[0])
"""


def test_the_memory_of_a_camera_is_neither_dumped_nor_read_by_others() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", CHILD], capture_output=True, text=True, timeout=60, check=True
    )
    assert shown.stdout in ("0 0\n", "0 1\n")
