"""Asks a URL again and again, from a process of its own: `python prober.py PORT PATH FILE`, until it is killed.

Each answer is one line of the file: the seconds that it took.
"""

from __future__ import annotations

import http.client
import sys
import time


def main(port: str, path: str, file: str) -> None:
    """Ask over one connection, every few milliseconds."""
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=30)
    with open(file, "w", buffering=1) as answers:  # noqa: PTH123 - whole lines, as they come
        while True:
            began = time.perf_counter()
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            seconds = time.perf_counter() - began
            print(seconds if answer.status == 200 else "failed", file=answers)
            time.sleep(0.005)  # a probe, not a load


main(*sys.argv[1:])
