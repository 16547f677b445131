"""One contender, one measure, one process: `python -m benchmarks.bus.child NAME MEASURE URL SIZE` prints JSON."""

from __future__ import annotations

import asyncio
import contextlib
import cProfile
import gc
import importlib
import json
import logging
import pstats
import sys
from collections.abc import Coroutine, Iterator
from typing import Any

from benchmarks.bus.contenders import ENTRANTS
from benchmarks.bus.measures import PARTS
from benchmarks.bus.meter import Result
from benchmarks.bus.workload import Run, Size


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run on uvloop where it is installed, as every contender's own documentation advises."""
    try:
        uvloop = importlib.import_module("uvloop")
    except ImportError:
        return asyncio.run(coroutine)
    result: Result = uvloop.run(coroutine)
    return result


@contextlib.contextmanager
def profiled(profiler: str) -> Iterator[None]:
    """Print where the time went, to the standard error; with an empty name do nothing."""
    if not profiler:
        yield
    elif profiler == "pyinstrument":
        with importlib.import_module("pyinstrument").Profiler(async_mode="disabled") as watching:
            yield
        sys.stderr.write(watching.output_text(show_all=True))
    else:
        with cProfile.Profile() as watched:
            yield
        pstats.Stats(watched, stream=sys.stderr).sort_stats("tottime").print_stats(45)


def main(name: str, measure: str, url: str, size: str, profiler: str = "") -> None:
    """Measure, and print the result as the last line."""
    logging.disable(logging.WARNING)
    contender = ENTRANTS[name].make()
    mine = getattr(contender, measure, None)  # the limit has no loop, and its own ways
    task = Run(name=name, url=url, size=Size(**json.loads(size)))
    gc.collect()
    gc.freeze()  # what was imported is no contender's garbage
    with profiled(profiler):
        result = run(mine(task) if mine else PARTS[measure](contender, task))
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
