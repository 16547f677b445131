"""The kit's errors. They import nothing, so that the plugin can be loaded in no time."""

from __future__ import annotations


class KitError(Exception):
    """Raised when the kit is used wrongly: an unknown module, acts that nest, another loop. Says what to do instead."""


class TraceError(AssertionError):
    """Raised when a trace does not hold what a test asserts."""


class SettleError(AssertionError):
    """Raised when the system does not come to rest in time; the text names what is outstanding and who owns it."""


class StrictError(AssertionError):
    """Raised at the end of a test for what nobody asked for: handler errors, dead letters, leaks, faults unused."""
