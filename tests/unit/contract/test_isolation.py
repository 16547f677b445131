"""A module may do what it wants to its process: it is reported, and the run goes on and ends."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from recyclic.testing.contract.isolation import WarmParent

BROKEN = Path(__file__).parent / "broken"
HEALTHY = (BROKEN / "RCY202_needs_what_comes_later/modules/ladder/__init__.py").read_text(encoding="utf-8")

pytestmark = pytest.mark.slow

AT_IMPORT = {
    "exits": ("import os\nos._exit(0)\n", "RCY407", "exit status 0"),
    "crashes": ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", "RCY407", "SIGSEGV"),
    "never ends": ("while True: pass\n", "RCY403", "hangs in import"),
    "closes everything": ("import os\nos.closerange(0, 256)\nwhile True: pass\n", "RCY407", "died in import"),
    "asks to exit": ("import sys\nsys.exit(3)\n", "RCY301", "SystemExit: 3"),
    "leaves a daemon": (
        HEALTHY + "import os, time\nif os.fork() == 0:\n    time.sleep(60)\n    os._exit(0)\n",
        "RCY409",
        "processes that it started",
    ),
}


@pytest.mark.parametrize("name", AT_IMPORT)
def test_import_that_harms_its_process_is_reported_and_the_others_are_checked(write_module, check_folder, name):
    code, rule, text = AT_IMPORT[name]
    write_module(HEALTHY, module_id="ladder")
    report = check_folder(write_module(code), limit=5.0)
    found = [finding for finding in report.findings if finding.rule == rule]
    assert len(found) >= 1
    assert text in found[0].what
    assert not report.about("ladder", rule)
    assert {finding.module for finding in report.findings} == {"attic"}
    assert report.exit_code == 1


def test_module_that_prints_and_closes_its_streams_disturbs_nobody(write_module, check_folder, capfd):
    startup = "import sys\n        print('noise')\n        sys.stdout.flush()\n        sys.stdin.close()"
    code = HEALTHY.replace('"""Do nothing."""', startup, 1)
    report = check_folder(write_module(code))
    assert [finding.rule for finding in report.findings] == ["RCY408"]
    assert "noise" not in capfd.readouterr().out


def test_busy_step_is_told_with_the_line_it_is_stuck_in(check_folder):
    report = check_folder(BROKEN / "RCY403_shutdown_keeps_the_loop_busy", limit=5.0, select=["RCY403"])
    (finding,) = report.findings
    assert "hangs in shutdown" in finding.what
    assert Path(finding.place.file).read_text(encoding="utf-8").splitlines()[finding.place.line - 1].strip() in {
        "while True:",
        "pass",
    }


def test_spawned_process_finds_the_same_as_a_forked_one(check_folder):
    with WarmParent(method="spawn", width=1) as parent:
        report = check_folder(BROKEN / "RCY604_needs_a_field_that_is_not_sent", parent=parent, limit=10.0)
    assert [finding.rule for finding in report.findings] == ["RCY604"]


def test_nothing_of_the_shop_is_in_the_modules_environment(write_module, check_folder, monkeypatch):
    monkeypatch.setenv("REDIS_URL", "redis://shop.example:6379")
    monkeypatch.setenv("RECYCLIC_MODULES__ATTIC__PASSWORD", "secret")
    startup = "import os\n        assert not [k for k in os.environ if k.startswith(('RECYCLIC', 'REDIS'))]"
    with WarmParent() as parent:
        report = check_folder(write_module(HEALTHY.replace('"""Do nothing."""', startup, 1)), parent=parent)
    assert report.findings == ()


def test_warm_parent_has_one_thread():
    import subprocess  # noqa: PLC0415 - here alone

    code = "import recyclic.testing.contract.child, threading; print(threading.active_count())"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert output.stdout.strip() == "1"
