"""`make bench-bus`: measure our bus against its peers on a real Redis, in one run. See docs/performance.md.

python -m benchmarks.bus [--quick] [--only NAME]… [--measure NAME]… [--json FILE] [--write] [--profile MEASURE]
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.bus import report
from benchmarks.bus.contenders import ENTRANTS
from benchmarks.bus.measures import MEASURES
from benchmarks.bus.rounds import run_child, run_rounds
from benchmarks.bus.workload import FULL, QUICK, TINY, Size
from recyclic.core.redis_process import find_binary

PACKAGES = ("redis", "hiredis", "uvloop", "orjson", "faststream", "taskiq-redis")


def main() -> int:
    """Run what was asked for, and print the tables."""
    options = arguments()
    size = TINY if options.tiny else QUICK if options.quick else FULL
    size = dataclasses.replace(size, rounds=options.rounds or size.rounds)
    if options.profile:
        say_figures(run_child("ours", options.profile, size, profile=options.profiler))
        return 0
    names = [name for name in ENTRANTS if name in (options.only or ENTRANTS)]
    for name in list(names):
        if missing := ENTRANTS[name].missing():
            print(f"{name} is left out: {', '.join(missing)} is not installed here (`make bench-bus` installs it)")
            names.remove(name)
    if "limit" in names and shutil.which("redis-benchmark") is None:
        print("redis-benchmark is not installed (Debian: redis-tools): the limit emits with hiredis instead")
    results, failures = run_rounds(names, options.measure or list(MEASURES), size, progress)
    progress("")
    text = f"{circumstances(size)}\n\n{report.tables(results, {name: ENTRANTS[name].title for name in names})}"
    print(text)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if options.write and not failures:
        report.write(options.write, "bench-bus", text)
    for failure in failures:
        print(f"\nFAILED {failure}", file=sys.stderr)
    return 1 if failures else 0


def circumstances(size: Size) -> str:
    """Return in one paragraph what was measured, and on what."""
    answer = subprocess.run([find_binary(), "--version"], capture_output=True, text=True, check=False).stdout.split()
    server = f"{find_binary().name} {next((word[2:] for word in answer if word.startswith('v=')), '')}"
    versions = ", ".join(f"{name} {version}" for name in PACKAGES if (version := installed(name)))
    rounds = f"{size.rounds} round{'s' if size.rounds > 1 else ''}"
    return (
        f"{rounds}: a backlog of {size.backlog}, {size.sequential} emits one by one, {size.steady} events at "
        f"{size.rate} a second. {server} on a unix socket, append-only file, `appendfsync everysec`. "
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {versions}."
    )


def installed(package: str) -> str:
    """Return a package's version, empty where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make bench-bus ARGS=…", description="Measure our bus against its peers.")
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--tiny", action="store_true", help="one round that only shows that everything runs")
    parser.add_argument("--rounds", type=int, help="how many rounds")
    parser.add_argument("--only", action="append", choices=list(ENTRANTS), help="just this contender; may be repeated")
    parser.add_argument("--measure", action="append", choices=list(MEASURES), help="just this one; may be repeated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round's figures here")
    report.add_write(parser)
    parser.add_argument("--profile", choices=list(MEASURES), metavar="MEASURE", help="profile our bus in this measure")
    parser.add_argument("--profiler", choices=["cprofile", "pyinstrument"], default="cprofile", help="with this one")
    return parser.parse_args()


def say_figures(figures: dict[str, float]) -> None:
    """Print what a profiled run reached; it is slower than without a profiler."""
    for name, value in figures.items():
        print(f"{name}: {report.number(value)}")


def progress(text: str) -> None:
    """Show where the run is: on one line of a terminal, else nothing."""
    if sys.stderr.isatty():
        print(f"\r{text:<70}", end="\r" if not text else "", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
