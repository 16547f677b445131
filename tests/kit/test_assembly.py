"""Which modules a host boots: those named, their dependencies, spies in place of neighbours."""

from __future__ import annotations

import textwrap

import pytest

from recyclic.config import Config
from recyclic.errors import EventError, ModuleError
from recyclic.testing import KitError, Spy, boot_modules


def write(folder, module_id, needs=(), emits=(), consumes=(), code=""):
    """Write a module outside of the monorepo."""
    place = folder / module_id
    place.mkdir(parents=True)
    (place / "module.toml").write_text(
        f'name = "{module_id}"\nversion = "1"\ndescription = "a test"\n'
        '[permissions]\nsection = "config"\nlevel = "write"\n'
        f"[events]\nemits = {list(emits)}\nconsumes = {list(consumes)}\n"
        f"[dependencies]\nmodules = {list(needs)}\n"
    )
    body = textwrap.dedent(code) or "    pass"
    (place / "__init__.py").write_text(
        "from recyclic import Event, ModuleBase\n\n"
        "class PriceSet(Event):\n    cents: int\n\n"
        "class Module(ModuleBase):\n"
        f"    emits = ({'PriceSet,' if emits else ''})\n"
        "    async def startup(self, app, config): pass\n"
        "    async def shutdown(self): pass\n"
        f"{textwrap.indent(body, '    ') if code else ''}\n"
        "MODULE_CLASS = Module\n"
    )


@pytest.fixture
def config(tmp_path, request):
    """Three modules in a row: labels need prices, prices need shelves; labels need a printer that is not installed."""
    name = f"k{abs(hash(request.node.name)) % 10**8}"  # module names are the process's: each test has its own
    handler = """
    def register_signals(self, bus):
        self.got = []
        bus.on("price_set", self.take)

    async def take(self, cents: int):
        self.got.append(cents)
    """
    write(tmp_path, f"{name}_shelves")
    write(tmp_path, f"{name}_prices", needs=[f"{name}_shelves"], emits=["price_set"])
    needs = [f"{name}_prices", f"{name}_printer"]
    write(tmp_path, f"{name}_labels", needs=needs, consumes=["price_set"], code=handler)
    built = Config.build(modules={"path": [tmp_path], "enabled": []})
    return built.model_copy(update={"path": tmp_path / name}), name


def booted(host) -> dict[str, bool]:
    """Return id → whether it is real, in start order."""
    return {module.id.partition("_")[2]: not isinstance(module.instance, Spy) for module in host.app.state.registry}


async def test_neighbours_are_spies_unless_asked_for(config):
    config, name = config
    async with boot_modules(f"{name}_labels", config=config) as host:
        assert booted(host) == {"prices": False, "printer": False, "labels": True}


async def test_direct_dependencies_can_be_real(config):
    config, name = config
    async with boot_modules(f"{name}_labels", deps="direct", config=config) as host:
        assert booted(host) == {"shelves": False, "prices": True, "printer": False, "labels": True}


async def test_all_dependencies_can_be_real(config):
    config, name = config
    async with boot_modules(f"{name}_labels", deps="all", config=config) as host:
        assert booted(host) == {"shelves": True, "prices": True, "printer": False, "labels": True}


async def test_a_spy_can_stand_in_for_a_module_that_is_named(config):
    config, name = config
    names = [f"{name}_labels", f"{name}_prices"]
    async with boot_modules(*names, stub=[f"{name}_prices"], config=config) as host:
        assert booted(host)["prices"] is False


async def test_a_spy_emits_what_its_module_may_and_nothing_else(config):
    config, name = config
    async with boot_modules(f"{name}_labels", config=config) as host:
        spy = host.module(f"{name}_prices")
        async with host.act() as trace:
            await spy.emit("price_set", cents=250)
        trace.emitted("price_set").by(f"{name}_prices")
        trace.consumed("price_set", by=f"{name}_labels").ok()
        assert host.module(f"{name}_labels").got == [250]
        with pytest.raises(EventError, match="does not emit label_printed"):
            await spy.emit("label_printed")


async def test_a_spy_takes_what_its_module_consumes(config):
    config, name = config
    names = [f"{name}_labels", f"{name}_prices"]
    async with boot_modules(*names, stub=[f"{name}_labels"], config=config) as host:
        async with host.act() as trace:
            await host.bus.emit("price_set", cents=250)
        trace.consumed("price_set", by=f"{name}_labels").ok()
        [received] = host.module(f"{name}_labels").received
        assert (received.event, received.data, received.meta.source) == ("price_set", {"cents": 250}, "test")


@pytest.fixture
def alone(tmp_path, request):
    """One module whose only neighbour is not installed."""
    name = f"k{abs(hash(request.node.name)) % 10**8}"
    handler = """
    def register_signals(self, bus):
        self.got = []
        bus.on("parcel_weighed", self.take)

    async def take(self, grams: int, **data):
        self.got.append((grams, data))
    """
    needs, consumes = [f"{name}_scales"], ["parcel_weighed", "price_set"]
    write(tmp_path, f"{name}_labels", needs=needs, consumes=consumes, code=handler)
    write(tmp_path, f"{name}_prices", emits=["price_set"])
    built = Config.build(modules={"path": [tmp_path], "enabled": []})
    return built.model_copy(update={"path": tmp_path / name}), name


async def test_a_module_boots_alone_whose_neighbour_is_not_installed(alone):
    """Its spy emits what the module awaits of nobody else; any fields travel."""
    config, name = alone
    async with boot_modules(f"{name}_labels", config=config) as host:
        assert booted(host) == {"scales": False, "labels": True}
        spy = host.module(f"{name}_scales")
        async with host.act() as trace:
            await spy.emit("parcel_weighed", grams=250, shelf="B2")
            await host.bus.emit("parcel_weighed", grams=7)
        trace.emitted("parcel_weighed", grams=250).once().by(f"{name}_scales")
        trace.consumed("parcel_weighed", by=f"{name}_labels").times(2).ok(attempts=1)
        assert sorted(host.module(f"{name}_labels").got) == [(7, {}), (250, {"shelf": "B2"})]
        with pytest.raises(EventError, match="does not emit price_set"):  # that one is of a module that is installed
            await spy.emit("price_set", cents=1)


async def test_a_spy_of_what_is_not_installed_keeps_to_what_its_consumers_need(alone):
    config, name = alone
    async with boot_modules(f"{name}_labels", config=config) as host:
        spy = host.module(f"{name}_scales")
        async with host.act() as trace:
            with pytest.raises(EventError) as caught:
                await spy.emit("parcel_weighed", grams="heavy")
        told = f"{name}_scales is not installed, and {name}_labels needs of parcel_weighed"
        assert told in str(caught.value)
        assert "grams: Input should be a valid integer" in str(caught.value)
        trace.never("parcel_weighed")


async def test_a_module_that_cannot_be_imported_is_told_with_its_line(tmp_path):
    write(tmp_path, "broken_shop_module")
    (tmp_path / "broken_shop_module" / "__init__.py").write_text("import nothing_of_that_name\n")
    config = Config.build(modules={"path": [tmp_path]})
    with pytest.raises(ModuleError, match=r"__init__\.py:1: broken_shop_module cannot be imported"):
        async with boot_modules("broken_shop_module", config=config):
            pass


async def test_settings_for_what_is_not_booted_are_refused(config):
    config, name = config
    with pytest.raises(KitError, match=r"settings for 'printers': it is not booted"):
        async with boot_modules(f"{name}_labels", config=config, settings={"printers": {}}):
            pass


async def test_the_monorepo_s_modules_boot_together():
    async with boot_modules("caisse", "members", "barcodes") as host:
        assert booted(host) == {"": True}
        assert [module.id for module in host.app.state.registry] == ["caisse", "members", "barcodes"]
