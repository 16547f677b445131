"""Redis topologies of real processes for a test's own use: Sentinels with a master and a replica, and a Cluster."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.retry import Retry

from recyclic.core.redis_process import find_binary
from recyclic.testing.errors import KitError

PATIENCE = 30.0
"""Seconds that a topology may take to come up."""

DOWN_AFTER = 500
"""Milliseconds of silence after which a Sentinel, or the nodes of a Cluster, take a server for down."""

PORTS = range(20_000, 32_000)
"""Below the ports that the system hands out by itself; a Cluster's bus has each node's port plus 10 000."""


class Server:
    """One server process on loopback. It keeps its files in a folder of its own, and can be started there again."""

    def __init__(self, folder: Path, port: int, *options: str, binary: Path | None = None, config: str = "") -> None:
        self.folder = folder
        self.port = port
        self._command = [str(binary or find_binary()), *options]
        folder.mkdir(parents=True)
        if config or "--sentinel" in options:  # a Sentinel writes its own file anew
            (folder / "own.conf").write_text(config)
            self._command.insert(1, str(folder / "own.conf"))
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start the process, and return once it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the binary was found by us, and there is no shell
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder
            )
        self.until(self._answers, "answer")

    def kill(self) -> None:
        """End the process as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        """Stop the process without ending it, as an overloaded or half-dead machine does."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        self._signal(signal.SIGCONT)

    def ask(self, *words: Any) -> Any:
        """Run one command on this server, on a connection of its own."""
        options: dict[str, Any] = {"socket_timeout": 10, "decode_responses": True, "retry": Retry(NoBackoff(), 0)}
        with Redis(port=self.port, protocol=2, **options) as client:
            client.response_callbacks.clear()  # replies as the server gives them
            return client.execute_command(*words)

    def until(self, condition: Callable[[], Any], what: str) -> None:
        """Wait until the server says so."""
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(RedisError, OSError):
                if condition():
                    return
            if time.monotonic() > deadline or (self._process is not None and self._process.poll() is not None):
                tail = " / ".join((self.folder / "log").read_text(errors="replace").splitlines()[-3:])
                raise KitError(f"no {what} from the server on port {self.port}: {tail}")
            time.sleep(0.005)

    def _answers(self) -> bool:
        try:
            return bool(self.ask("PING"))
        except AuthenticationError:
            return True

    def _signal(self, number: int) -> None:
        if self._process is not None:
            os.kill(self._process.pid, number)


class Topology:
    """Several servers that make one Redis, reached by `url`."""

    url: str
    servers: list[Server]

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="rtopo-"))

    def stop(self) -> None:
        """End all processes and remove their files."""
        for server in self.servers:
            server.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


class Sentinels(Topology):
    """A master, its replicas, of which the first may become master, and three Sentinels that watch them."""

    name = "shop"

    def __init__(self, *, replicas: int = 1, binary: Path | None = None) -> None:
        super().__init__()
        ports = free_ports(4 + replicas)
        self.servers = []
        self.data = [self._data(port, binary, 0 if number > 1 else 100) for number, port in enumerate(ports[3:])]
        first, *others = self.data
        for replica in others:
            replica.ask("REPLICAOF", "127.0.0.1", first.port)
            replica.until(partial(self._is_linked, replica), "replication")
        known = {port: os.urandom(20).hex() for port in ports[:3]}  # else they need seconds to find each other
        self.sentinels = [self._sentinel(port, known, binary) for port in known]
        for sentinel in self.sentinels:
            sentinel.until(partial(self._knows_all, sentinel), "acquaintance")
        places = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        self.url = f"redis+sentinel://{places}/{self.name}/0"

    @property
    def master(self) -> Server:
        """Return the server that the first Sentinel takes for the master."""
        return self._named_by(self.sentinels[0])

    def _named_by(self, sentinel: Server) -> Server:
        _, port = sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)
        return next(server for server in self.data if server.port == int(port))

    def master_becomes_other_than(self, server: Server) -> Server:
        """Wait for the failover away from `server`; return the new master, ready to write to."""
        for sentinel in self.sentinels:
            sentinel.until(partial(self._names_another, sentinel, server), "failover")
        master = self.master
        master.until(lambda: master.ask("ROLE")[0] == "master", "promotion")
        return master

    def _names_another(self, sentinel: Server, server: Server) -> bool:
        return self._named_by(sentinel) is not server

    def _knows_all(self, sentinel: Server) -> bool:
        state = sentinel.ask("SENTINEL", "MASTERS")[0]
        told = dict(zip(state[::2], state[1::2], strict=True))
        numbers = (int(told["num-slaves"]), int(told["num-other-sentinels"]))
        return numbers == (len(self.data) - 1, 2) and "down" not in told["flags"]

    @staticmethod
    def _is_linked(replica: Server) -> bool:
        return "master_link_status:up" in replica.ask("INFO", "replication")

    def _data(self, port: int, binary: Path | None, priority: int) -> Server:
        options = [*quiet(port), "--appendonly", "yes", "--repl-diskless-sync-delay", "0"]
        options += ["--replica-priority", str(priority)]
        self.servers.append(Server(self._folder / str(port), port, *options, binary=binary))
        return self.servers[-1]

    def _sentinel(self, port: int, known: Mapping[int, str], binary: Path | None) -> Server:
        master, *replicas = self.data
        peers = ((other, run) for other, run in known.items() if other != port)
        lines = (
            f"myid {known[port]}",
            f"monitor {self.name} 127.0.0.1 {master.port} 2",
            f"down-after-milliseconds {self.name} {DOWN_AFTER}",
            f"failover-timeout {self.name} 3000",
            *(f"known-replica {self.name} 127.0.0.1 {replica.port}" for replica in replicas),
            *(f"known-sentinel {self.name} 127.0.0.1 {other} {run}" for other, run in peers),
        )
        config = "".join([f"port {port}\nbind 127.0.0.1\n", *(f"sentinel {line}\n" for line in lines)])
        self.servers.append(Server(self._folder / str(port), port, "--sentinel", binary=binary, config=config))
        return self.servers[-1]


class Cluster(Topology):
    """Three primaries that share the slots, each with `replicas` replicas."""

    primaries = 3

    def __init__(self, *, replicas: int = 0, binary: Path | None = None) -> None:
        super().__init__()
        ports = free_ports(self.primaries * (1 + replicas), apart=10_000)
        self.servers = []
        for port in ports:
            options = [*quiet(port), "--cluster-enabled", "yes", "--cluster-node-timeout", str(2 * DOWN_AFTER)]
            options += ["--repl-diskless-sync-delay", "0", "--cluster-replica-validity-factor", "0"]
            self.servers.append(Server(self._folder / str(port), port, *options, binary=binary))
        first, *others = self.servers
        for number, server in enumerate(self.servers):
            server.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for server in others:
            server.ask("CLUSTER", "MEET", "127.0.0.1", first.port)
        for server, (start, end) in zip(self.servers, _ranges(self.primaries), strict=False):
            server.ask("CLUSTER", "ADDSLOTSRANGE", start, end)
        for number, replica in enumerate(self.servers[self.primaries :]):
            of = self.servers[number % self.primaries].ask("CLUSTER", "MYID")
            replica.until(partial(self._replicate, replica, of), "acquaintance")
        self.agree()
        self.url = f"redis+cluster://{','.join(f'127.0.0.1:{server.port}' for server in self.servers[:3])}"

    @staticmethod
    def _replicate(replica: Server, of: str) -> bool:
        return of in replica.ask("CLUSTER", "NODES") and bool(replica.ask("CLUSTER", "REPLICATE", of))

    def _agreed(self, server: Server) -> bool:
        state = dict(line.split(":") for line in server.ask("CLUSTER", "INFO").split())
        known = server.ask("CLUSTER", "NODES").splitlines()
        roles = sum("slave" in line.split()[2] for line in known)
        ready = state["cluster_state"] == "ok" and state["cluster_known_nodes"] == str(len(self.servers))
        told = server.ask("INFO", "replication")
        linked = "role:master" in told or "master_link_status:up" in told
        return ready and linked and roles == len(self.servers) - self.primaries

    def owner(self, key: str) -> Server:
        """Return the server that has the key's slot."""
        slot = self.servers[0].ask("CLUSTER", "KEYSLOT", key)
        for start, end, (_, port, *_), *_ in self._any().ask("CLUSTER", "SLOTS"):
            if start <= slot <= end:
                return next(server for server in self.servers if server.port == port)
        raise KitError(f"nobody has the slot of {key}")

    def owner_becomes_other_than(self, server: Server, key: str) -> Server:
        """Wait until another node has the key's slot, and the Cluster serves it; return that node."""
        other = next(one for one in self.servers if one is not server)
        other.until(partial(self._is_served_without, server, key), "promotion of a replica")
        return self.owner(key)

    def agree(self) -> None:
        """Wait until all nodes know each other, and who leads whom."""
        for server in self.servers:
            server.until(partial(self._agreed, server), "agreement")

    def _is_served_without(self, server: Server, key: str) -> bool:
        others = [one for one in self.servers if one is not server]
        return self.owner(key) is not server and all("cluster_state:ok" in one.ask("CLUSTER", "INFO") for one in others)

    def begin_move(self, key: str, to: Server) -> Server:
        """Let the key's slot migrate to another node, its keys one by one; return the node that has it still."""
        source, slot = self.owner(key), to.ask("CLUSTER", "KEYSLOT", key)
        to.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.ask("CLUSTER", "MYID"))
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", to.ask("CLUSTER", "MYID"))
        return source

    def move_keys(self, source: Server, key: str, to: Server, *, most: int = 1000) -> list[str]:
        """Move keys of the key's slot, `most` at most; return those that moved."""
        keys: list[str] = source.ask("CLUSTER", "GETKEYSINSLOT", to.ask("CLUSTER", "KEYSLOT", key), most)
        if keys:
            source.ask("MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", *keys)
        return keys

    def end_move(self, key: str, to: Server) -> None:
        """Make the other node the slot's owner, for everybody to know."""
        slot, new = to.ask("CLUSTER", "KEYSLOT", key), to.ask("CLUSTER", "MYID")
        for server in (to, *(server for server in self.servers if server is not to)):
            server.ask("CLUSTER", "SETSLOT", slot, "NODE", new)

    def _any(self) -> Server:
        for server in self.servers:
            with contextlib.suppress(RedisError, OSError):
                server.ask("PING")
                return server
        raise KitError("no node of the cluster answers")


def free_ports(count: int, *, apart: int = 0) -> list[int]:
    """Return ports of loopback that nobody listens on; with `apart`, the ports that lie so far above are free too."""
    found: list[int] = []
    offset = os.getpid() * 97  # processes that look at the same time begin at different places
    for index in range(len(PORTS)):
        port = PORTS[(offset + index) % len(PORTS)]
        if all(_is_free(port + distance) for distance in {0, apart}):
            found.append(port)
        if len(found) == count:
            return found
    raise KitError(f"no {count} free ports from {PORTS.start} to {PORTS.stop}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def quiet(port: int) -> Sequence[str]:
    """Return the options of a server on loopback that writes no snapshots."""
    return ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--maxmemory-policy", "noeviction")


def _ranges(parts: int) -> Iterator[tuple[int, int]]:
    size = 16384 // parts
    for number in range(parts):
        yield number * size, 16383 if number == parts - 1 else (number + 1) * size - 1
