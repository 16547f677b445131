"""One contender, one measure, one process: `python -m benchmarks.bus.child NAME MEASURE URL SIZE` prints JSON."""

from __future__ import annotations

import asyncio
import cProfile
import gc
import json
import logging
import pstats
import sys
from collections.abc import Coroutine
from typing import Any

from benchmarks.bus.contenders import ENTRANTS
from benchmarks.bus.measures import MEASURES, Result
from benchmarks.bus.workload import Size


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run on uvloop where it is installed, as every contender's own documentation advises."""
    try:
        import uvloop  # noqa: PLC0415 - the tiny run of the test goes without
    except ImportError:
        return asyncio.run(coroutine)
    return uvloop.run(coroutine)


def main(name: str, measure: str, url: str, size: str, profile: str = "") -> None:
    """Measure, and print the result as the last line."""
    logging.disable(logging.WARNING)
    contender = ENTRANTS[name].make()
    gc.collect()
    gc.freeze()  # what was imported is no contender's garbage
    profiler = cProfile.Profile() if profile == "cprofile" else None
    if profiler is not None:
        profiler.enable()
    result = run(MEASURES[measure](contender, url, Size(**json.loads(size))))
    if profiler is not None:
        profiler.disable()
        pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(45)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
