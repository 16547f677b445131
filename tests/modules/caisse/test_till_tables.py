"""The migration leads to the tables of the models; identifiers sort by the moment they were made."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import threading
import uuid
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError
from sqlalchemy import create_mock_engine

from recyclic.core.migration import MigrationLocation, Migrator
from recyclic.modules import caisse
from recyclic.modules.caisse.ids import new_id
from recyclic.modules.caisse.models import Table
from recyclic.modules.caisse.settings import CaisseSettings

VERSIONS = Path(caisse.__file__).parent / "migrations" / "versions"


async def test_the_migration_leads_to_the_models(tmp_path):
    migrator = Migrator(f"sqlite+aiosqlite:///{tmp_path}/shop.sqlite3")
    location = MigrationLocation("caisse", VERSIONS, Table.metadata)
    await migrator.upgrade([location])
    assert await migrator.check([location]) == []


async def test_the_migration_makes_the_same_constraints_and_indexes_as_the_models(tmp_path):
    """Alembic's comparison does not see the conditions of partial indexes, which hold the till's promises."""
    migrator = Migrator(f"sqlite+aiosqlite:///{tmp_path}/shop.sqlite3")
    await migrator.upgrade([MigrationLocation("caisse", VERSIONS, Table.metadata)])
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.sqlite3")) as database:
        migrated = {sql for (sql,) in database.execute("SELECT sql FROM sqlite_master WHERE sql LIKE '%caisse_%'")}
    assert {flat(sql) for sql in migrated if "alembic" not in sql} == statements("sqlite")


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_both_databases_hold_one_open_session_per_register(dialect):
    wanted = "CREATE UNIQUE INDEX uq_caisse_session_open ON caisse_session (register_id) "
    assert f"{wanted}WHERE status = 'open' AND NOT deferred" in statements(dialect)


def statements(dialect):
    written = []
    engine = create_mock_engine(
        f"{dialect}://", lambda sql, *_: written.append(str(sql.compile(dialect=engine.dialect)))
    )
    Table.metadata.create_all(engine, checkfirst=False)
    return {flat(sql) for sql in written}


def flat(sql):
    """Return a statement on one line, a table's columns and constraints in the order of the alphabet."""
    line = " ".join(sql.split()).replace("( ", "(").replace(" )", ")")
    return line if "INDEX" in line else " | ".join(sorted(re.split(r", (?![^(]*\))", line.partition("(")[2][:-1])))


def test_every_table_bears_the_modules_name():
    assert {name.partition("_")[0] for name in Table.metadata.tables} == {"caisse"}


def test_identifiers_are_uuids_of_version_7_that_sort_by_age():
    made = [new_id() for _ in range(5000)]
    assert sorted(made) == made
    assert len(set(made)) == 5000
    assert {(uuid.UUID(one).version, uuid.UUID(one).variant) for one in made} == {(7, uuid.RFC_4122)}


def test_threads_never_make_the_same_identifier():
    made = []
    threads = [threading.Thread(target=lambda: made.extend(new_id() for _ in range(2000))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 8000


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "", "../etc/passwd", "Paris\x00"])
def test_an_unknown_time_zone_is_refused_with_a_remedy(zone):
    with pytest.raises(ValidationError, match="write one like Europe/Paris"):
        CaisseSettings(timezone=zone)


def test_the_settings_default_to_a_french_shop():
    settings = CaisseSettings()
    assert (settings.variance_threshold_cents, ZoneInfo(settings.timezone).key) == (5, "Europe/Paris")
