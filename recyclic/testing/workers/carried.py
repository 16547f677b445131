"""Carried: what crosses from one process to the other although it cannot be pickled: classes of a test, errors."""

from __future__ import annotations

import importlib
import importlib.util
import pickle
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from recyclic.testing.errors import KitError
from recyclic.testing.story import place_of


@dataclass(frozen=True, slots=True)
class CarriedClass:
    """Where a class stands, so that another process can import it."""

    module: str
    file: str
    name: str

    @classmethod
    def of(cls, one: type) -> Self:
        """Return where a class stands.

        Raises:
            KitError: it stands inside a function, where no other process finds it.
        """
        if "<locals>" in one.__qualname__:
            raise KitError(
                f"worker processes cannot import {one.__qualname__}: move the class to the top level of its file"
            )
        file = getattr(sys.modules.get(one.__module__), "__file__", None) or ""
        return cls(one.__module__, file, one.__qualname__)

    def load(self) -> Any:
        """Import the class: by its module's name where that leads to the same file, else from the file."""
        found: Any = sys.modules.get(self.module) or self._by_name() or self._from_file()
        for name in self.name.split("."):
            found = getattr(found, name)
        return found

    def _by_name(self) -> Any:
        try:
            spec = importlib.util.find_spec(self.module)
        except (ImportError, ValueError):
            return None
        same = spec is not None and spec.origin is not None and Path(spec.origin) == Path(self.file)
        return importlib.import_module(self.module) if same or not self.file else None

    def _from_file(self) -> Any:
        spec = importlib.util.spec_from_file_location(self.module, self.file)
        if spec is None or spec.loader is None:
            raise KitError(f"worker processes cannot import {self.name}: {self.file} is no Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[self.module] = module
        spec.loader.exec_module(module)
        return module


class RemoteError(Exception):
    """Stands in for an error of a worker process that could not be carried over; its class has the error's name."""


@dataclass(frozen=True, slots=True)
class CarriedError:
    """An error of another process: itself if it can be pickled, with its text and place in any case."""

    name: str
    text: str
    place: str
    pickled: bytes

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """Pack an error."""
        try:
            pickled = pickle.dumps(error)
            pickle.loads(pickled)  # noqa: S301 - our own; many errors can be pickled and not be read
        except Exception:  # noqa: BLE001 - whatever an error's class does, its text gets through
            pickled = b""
        return cls(type(error).__name__, str(error), place_of(error), pickled)

    def error(self) -> BaseException:
        """Unpack it; it remembers where it was raised."""
        error: Any = None
        if self.pickled:
            try:
                error = pickle.loads(self.pickled)  # noqa: S301 - our own child's
            except Exception:  # noqa: BLE001 - its class may be out of reach here
                error = None
        if error is None:
            error = type(self.name, (RemoteError,), {})(self.text)
        error.__recyclic_place__ = self.place
        return error  # type: ignore[no-any-return]
