"""Eight threads that allocate do not keep eight heaps."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = """
import ctypes, sys, threading
from dashboards import memory
if sys.argv[1] == "shared":
    memory.share_heaps()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
gate = threading.Barrier(8)
places = []
def work():
    gate.wait()
    places.append([libc.malloc(5000) for _ in range(50)])
    gate.wait()
threads = [threading.Thread(target=work) for _ in range(8)]
for t in threads: t.start()
for t in threads: t.join()
# A heap of a thread is aligned to 64 MB: its number is what stands above.
print(len({p >> 26 for held in places for p in held}))
memory.give_back()
"""


def printed(code: str, *given: str) -> list[str]:
    """Return the words that a new interpreter prints; nobody has chosen Arrow's heap in it."""
    kept = {k: v for k, v in os.environ.items() if k != "ARROW_DEFAULT_MEMORY_POOL"}
    done = subprocess.run(
        [sys.executable, "-c", code, *given],
        cwd=ROOT,
        env=kept | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's heaps are meant")
def test_threads_share_their_heaps() -> None:
    def heaps(how: str) -> int:
        (found,) = printed(CODE, how)
        return int(found)

    assert heaps("shared") <= 3
    assert heaps("shared") <= heaps("apart")


def test_what_is_there_at_the_start_is_not_looked_through_again() -> None:
    code = (
        "import gc, time\nfrom dashboards import memory\nkept = [[n] for n in range(300_000)]\n"
        "before = len(gc.get_objects())\nmemory.settle()\n"
        "print(before - len(gc.get_objects()), gc.get_freeze_count())"
    )
    gone, frozen = map(int, printed(code))
    assert gone > 300_000
    assert frozen > 300_000


def test_the_desk_does_without_arrow_until_a_batch_comes() -> None:
    code = "import sys, dashboards.serve; print('pyarrow' in sys.modules, 'pandas' in sys.modules)"
    assert printed(code) == ["False", "False"]


def test_arrow_keeps_nothing_of_a_batch() -> None:
    code = (
        "from dashboards import memory\nmemory.share_heaps()\nimport pyarrow as pa\n"
        "print(pa.default_memory_pool().backend_name)"
    )
    assert printed(code) == ["system"]
