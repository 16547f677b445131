"""What is kept of a failed test: a folder with its journal, its timeline and a picture of what was sent to whom."""

from __future__ import annotations

import re
import shutil
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from recyclic.testing.picture import to_svg
from recyclic.testing.sequence import sequence

if TYPE_CHECKING:
    from recyclic.testing.host import ModuleHost

RESULTS: Final = "test-results"
"""The folder, below the root folder, that holds what is kept of a test."""
JOURNAL: Final = "journal.jsonl"
_LONGEST_NAME: Final = 120


def folder_for(root: Path, node_id: str) -> Path:
    """Return the folder of a test in `root`: its id with dashes; where that is not all of the id, with its checksum."""
    name = re.sub(r"[^\w.=-]+", "-", node_id, flags=re.ASCII).strip("-.") or "test"
    if len(name) > _LONGEST_NAME or not node_id.isascii():
        name = f"{name[:_LONGEST_NAME]}-{zlib.crc32(node_id.encode('utf-8', 'replace')):08x}"
    return root / name


def forget(folder: Path) -> None:
    """Remove what is kept of an earlier run of the test."""
    shutil.rmtree(folder, ignore_errors=True)


def discard_journal(folder: Path) -> None:
    """Remove the journal of a test that passed, and its folder where nothing else was kept."""
    try:
        (folder / JOURNAL).unlink(missing_ok=True)
        folder.rmdir()
    except OSError:
        pass  # there never was one, or something else is kept


def keep(host: ModuleHost, folder: Path) -> list[str]:
    """Write the timeline and the picture beside the journal; return what could not be had."""
    file = host.journal.file
    problems = [file.problem] if file is not None and file.problem else []
    title = host.plan.test or "what happened"
    drawn = to_svg(sequence(host.journal.records), f"{title}, on {host.setting().backend}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "timeline.txt").write_text(f"{host.timeline}\n", "utf-8", "backslashreplace")
        (folder / "sequence.svg").write_text(drawn, "utf-8")
    except OSError as error:
        problems.append(f"no timeline.txt and sequence.svg: {error}")
    return problems


def kept(folder: Path, root: Path, problems: list[str]) -> str:
    """Return the lines of a report that say what is kept, and where."""
    files = [f"  {path.name}" for path in sorted(folder.iterdir())] if folder.is_dir() else []
    return "\n".join([f"kept in {folder.relative_to(root)}:", *files, *problems])
