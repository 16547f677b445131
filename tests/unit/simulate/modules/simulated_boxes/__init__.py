"""Counts boxes; for the tests of the simulation."""

from recyclic import Event, ModuleBase


class BoxOpened(Event):
    box_id: str
    weight_grams: int


class BoxCounted(Event):
    number: int


class Module(ModuleBase):
    emits = (BoxOpened, BoxCounted)

    def __init__(self):
        self.seen = 0

    async def startup(self, app, config): ...
    async def shutdown(self): ...

    def register_signals(self, bus):
        self.bus = bus
        bus.on("box_opened", self.count, max_attempts=3)

    async def count(self, box_id: str, **rest):
        self.seen += 1
        await self.bus.emit("box_counted", number=self.seen)


MODULE_CLASS = Module
