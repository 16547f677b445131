"""Migrations: one history for the host and each module, on SQLite and PostgreSQL, safe under many at once."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, text

from recyclic import Config
from recyclic.config import Config as ConfigType
from recyclic.core.database import Database
from recyclic.core.migration import MigrationLocation, Migrator, Revision, locations, own_table
from recyclic.core.module_loader import ModuleRegistry
from recyclic.errors import DatabaseError

FIRST = """\
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0001", None
def upgrade():
    op.create_table("till_parent", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(10)))
    op.create_table("till_child", sa.Column("id", sa.Integer, primary_key=True),
                    sa.Column("parent_id", sa.Integer, sa.ForeignKey("till_parent.id", ondelete="CASCADE")))
def downgrade():
    op.drop_table("till_child")
    op.drop_table("till_parent")
"""
NEXT = """\
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0002", "0001"
def upgrade():
    {body}
def downgrade(): ...
"""


def models(*, name_length: int = 10) -> MetaData:
    metadata = MetaData()
    Table("till_parent", metadata, Column("id", Integer, primary_key=True), Column("name", String(name_length)))
    key = ForeignKey("till_parent.id", ondelete="CASCADE")
    Table("till_child", metadata, Column("id", Integer, primary_key=True), Column("parent_id", Integer, key))
    return metadata


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return Config.build(database={"url": request.getfixturevalue("postgres_url")}).database_url
    return f"sqlite+aiosqlite:///{tmp_path / 'data' / 'db.sqlite3'}"


@pytest.fixture
def till(tmp_path: Path) -> MigrationLocation:
    versions = tmp_path / "till" / "migrations" / "versions"
    versions.mkdir(parents=True)
    (versions / "0001_initial.py").write_text(FIRST)
    return MigrationLocation("till", versions, models())


def add(till: MigrationLocation, body: str) -> None:
    (till.versions / "0002_next.py").write_text(NEXT.format(body=body))


async def run(url: str, *statements: str) -> list[object]:
    database = Database(url)
    found: list[object] = []
    try:
        async with database.unit_of_work() as uow:
            for statement in statements:
                result = await uow.session.execute(text(statement))
                found += list(result.scalars()) if result.returns_rows else []
    finally:
        await database.close()
    return found


async def test_every_history_goes_to_its_newest_revision(url, till):
    migrator, histories = Migrator(url), [*locations(ModuleRegistry()), till]
    assert await migrator.upgrade(histories) == {"host": Revision("", "0002"), "till": Revision("", "0001")}
    assert await migrator.current(histories) == {"host": Revision("0002", "0002"), "till": Revision("0001", "0001")}
    assert await migrator.upgrade(histories) == await migrator.current(histories)
    assert await run(url, "SELECT version_num FROM alembic_version_till") == ["0001"]
    assert await migrator.check(histories) == []


async def test_the_hosts_models_and_migrations_agree(url):
    histories = locations(ModuleRegistry())
    await Migrator(url).upgrade(histories)
    assert [str(problem) for problem in await Migrator(url).check(histories)] == []


async def test_a_failing_migration_keeps_nothing_and_says_whose_it_is(url, till):
    await Migrator(url).upgrade([till])
    add(till, 'op.add_column("till_parent", sa.Column("x", sa.Integer)); op.execute("nonsense")')
    with pytest.raises(DatabaseError, match="a migration of till failed, nothing of it was kept"):
        await Migrator(url).upgrade([till])
    assert (await Migrator(url).current([till]))["till"] == Revision("0001", "0002")
    with pytest.raises(Exception, match=r"(?i)no such column|does not exist"):
        await run(url, "SELECT x FROM till_parent")


async def test_rebuilding_a_table_keeps_the_rows_that_point_at_it(url, till):
    await Migrator(url).upgrade([till])
    await run(url, "INSERT INTO till_parent VALUES (1, 'a')", "INSERT INTO till_child VALUES (1, 1)")
    add(till, 'with op.batch_alter_table("till_parent", recreate="auto") as b: b.alter_column("name", nullable=False)')
    await Migrator(url).upgrade([till])
    assert await run(url, "SELECT parent_id FROM till_child") == [1]


async def test_a_migration_that_leaves_rows_pointing_at_nothing_is_refused(url, till):
    await Migrator(url).upgrade([till])
    await run(url, "INSERT INTO till_parent VALUES (1, 'a')", "INSERT INTO till_child VALUES (1, 1)")
    add(till, 'op.execute("UPDATE till_child SET parent_id = 7")')
    with pytest.raises(DatabaseError, match=r"would point at nothing|violates foreign key"):
        await Migrator(url).upgrade([till])
    assert await run(url, "SELECT parent_id FROM till_child") == [1]


async def test_a_database_of_a_newer_version_is_told_as_such(url, till):
    await Migrator(url).upgrade([till])
    await run(url, "UPDATE alembic_version_till SET version_num = '0009'")
    with pytest.raises(DatabaseError, match="newer version"):
        await Migrator(url).upgrade([till])


async def test_check_tells_what_is_behind_what_differs_and_what_is_misnamed(url, till):
    problems = await Migrator(url).check([till])
    assert [str(problem).split(": ", 1)[1] for problem in problems] == [
        "till is at nothing, its newest revision is 0001: run: recyclic db upgrade"
    ]
    await Migrator(url).upgrade([till])
    metadata = models(name_length=99)
    Table("other_table", metadata, Column("id", Integer, primary_key=True))
    Table("till_more", metadata, Column("id", Integer, primary_key=True))
    problems = [str(p) for p in await Migrator(url).check([MigrationLocation("till", till.versions, metadata)])]
    assert any("the table other_table is not named till_…" in line for line in problems)
    assert any("add_table till_more" in line for line in problems)
    assert any("till_parent" in line and "modify_type" in line for line in problems), problems


@pytest.mark.parametrize(
    ("name", "owner"),
    [("till_x", "till"), ("till_plus_x", "till_plus"), ("tills_x", None), ("till", None), (None, None)],
)
def test_a_table_belongs_to_the_longest_id_it_begins_with(name, owner):
    ids = ["till", "till_plus"]
    assert [module_id for module_id in ids if own_table(name, module_id, ids)] == ([owner] if owner else [])


async def test_two_heads_are_told(url, till):
    (till.versions / "0001_other.py").write_text(FIRST.replace('"0001"', '"0001b"'))
    with pytest.raises(DatabaseError, match="one line of revisions"):
        await Migrator(url).upgrade([till])


async def test_a_broken_revision_file_is_told(url, till):
    (till.versions / "0002_broken.py").write_text("def broken(:")
    with pytest.raises(DatabaseError, match="the migrations of till cannot be read"):
        await Migrator(url).upgrade([till])


async def test_a_new_revision_holds_what_the_models_have_more(url, till):
    await Migrator(url).upgrade([till])
    metadata = models()
    Table("till_more", metadata, Column("id", Integer, primary_key=True))
    changed = MigrationLocation("till", till.versions, metadata)
    written = await Migrator(url).revise(changed, "more", ["host", "till"])
    assert written == till.versions / "0002_more.py"
    assert "till_more" in written.read_text()
    assert await Migrator(url).upgrade([changed]) == {"till": Revision("0001", "0002")}
    assert await Migrator(url).check([changed]) == []
    assert await Migrator(url).revise(changed, "nothing", ["host", "till"]) is None
    assert len(list(till.versions.glob("*.py"))) == 2


async def test_many_migrators_at_once_do_it_once(url, till):
    histories = [*locations(ModuleRegistry()), till]
    done = await asyncio.gather(*(Migrator(url).upgrade(histories) for _ in range(6)))
    assert sorted(each["till"].current for each in done) == ["", *["0001"] * 5]


async def test_no_other_process_migrates_meanwhile(till, tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path / 'db.sqlite3'}"
    await Migrator(url).upgrade([till])
    add(
        till,
        f"""import fcntl
    with open({str(tmp_path / "db.sqlite3.migrating")!r}) as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)""",
    )
    with pytest.raises(DatabaseError, match="temporarily unavailable"):
        await Migrator(url).upgrade([till])


@pytest.mark.slow
async def test_many_processes_at_once_do_it_once(url, till):
    script = (
        "import asyncio, sys\nfrom pathlib import Path\n"
        "from recyclic.core.migration import *\nfrom recyclic.core.module_loader import ModuleRegistry\n"
        "till = MigrationLocation('till', Path(sys.argv[2]))\nsys.stdin.readline()\n"
        "print(asyncio.run(Migrator(sys.argv[1]).upgrade([*locations(ModuleRegistry()), till]))['till'].current)\n"
    )
    command = [sys.executable, "-c", script, url, str(till.versions)]
    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE}
    processes = [await asyncio.create_subprocess_exec(*command, **pipes) for _ in range(4)]
    answers = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    assert [process.returncode for process in processes] == [0] * 4, answers
    assert sorted(out.decode().strip() for out, _ in answers) == ["", "0001", "0001", "0001"]


@pytest.mark.slow
async def test_a_host_refuses_a_server_database_that_is_behind_unless_told_to_migrate(run_host, config, postgres_url):
    def on(**more: object) -> ConfigType:
        database = config.database.model_copy(update={"url": postgres_url, **more})
        return config.model_copy(update={"database": database})

    with pytest.raises(DatabaseError, match="host is at revision none and needs 0002: run: recyclic db upgrade"):
        async with run_host(config=on()):
            pytest.fail("it must not start")
    async with run_host(config=on(migrate=True)) as host:
        assert (await host.http.get("/health/ready")).json()["checks"]["database"] == "ok"
        client = await host.sign_in(caisse="read")
        assert (await client.get("/api/auth/me")).status_code == 200
    async with run_host(config=on()):
        pass


async def test_a_database_that_cannot_be_reached_is_told_without_its_password(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(DatabaseError, match="the database cannot be used"):
        await Migrator(f"sqlite+aiosqlite:///{tmp_path / 'file' / 'db'}").upgrade(locations(ModuleRegistry()))
    with pytest.raises(DatabaseError) as caught:
        await Migrator("postgresql+asyncpg://u:hush@127.0.0.1:1/n").upgrade(locations(ModuleRegistry()))
    assert "hush" not in str(caught.value)
