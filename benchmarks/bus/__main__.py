"""`make bench-bus`: measure our bus against its peers on a real Redis, in one run.

python -m benchmarks.bus [--quick] [--only NAME]… [--measure NAME]… [--json FILE] [--profile MEASURE]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from benchmarks.bus import report
from benchmarks.bus.contenders import ENTRANTS
from benchmarks.bus.measures import MEASURES
from benchmarks.bus.rounds import run_child, run_rounds
from benchmarks.bus.workload import FULL, QUICK, TINY
from recyclic.core.redis_process import find_binary


def main() -> int:
    """Run what was asked for, and print the tables."""
    options = arguments()
    size = TINY if options.tiny else QUICK if options.quick else FULL
    size = dataclasses.replace(size, rounds=options.rounds or size.rounds)
    if options.profile:
        print(run_child("ours", options.profile, dataclasses.replace(size, rounds=1), profile="cprofile"))
        return 0
    names = [name for name in ENTRANTS if name in (options.only or ENTRANTS)]
    for name in list(names):
        if missing := ENTRANTS[name].missing():
            print(f"{name} is left out: {', '.join(missing)} is not installed here (`make bench-bus` installs it)")
            names.remove(name)
    print(f"on {find_binary()}")
    results = run_rounds(names, options.measure or list(MEASURES), size, say)
    print(file=sys.stderr)
    print(report.table(results, {name: ENTRANTS[name].title for name in names}))
    print(report.targets(results))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bus", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--tiny", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, help="how many rounds")
    parser.add_argument("--only", action="append", choices=list(ENTRANTS), help="just this contender; may be repeated")
    parser.add_argument("--measure", action="append", choices=list(MEASURES), help="just this one; may be repeated")
    parser.add_argument("--json", type=Path, help="write every round's figures here")
    parser.add_argument("--profile", choices=list(MEASURES), help="profile our bus in this measure")
    return parser.parse_args()


def say(text: str) -> None:
    """Show where the run is, on one line."""
    print(f"\r{text:<70}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
