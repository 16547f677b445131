"""The module host: manifests, lifecycle, event bus, database, permissions."""
