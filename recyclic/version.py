"""The host's version, the one that `requires_host` of a manifest is compared with."""

__version__ = "0.1.0"
