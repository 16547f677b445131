"""The EventBus: typed events over Redis Streams, at least once to every enabled module."""
