"""Secured: a Redis of a test's own that takes TLS alone, with certificates made for the test."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from recyclic.core.redis_process import find_binary
from recyclic.testing.errors import KitError
from recyclic.testing.topologies import PATIENCE, Server, Topology, free_ports, quiet


class Secured(Topology):
    """One server that is reached over TLS alone, asks for a client's certificate, and for a user and a password.

    `grants` are the rights of the user, as ACL SETUSER takes them. A server that was built without TLS gets a door
    of ours in front of it, which does the same.
    """

    user, password = "recyclic", "s/ec@ret"

    def __init__(self, grants: Sequence[str], *, binary: Path | None = None) -> None:
        super().__init__()
        self.papers = Papers(self._folder)
        port, tls_port = free_ports(2)
        native = speaks_tls(binary or find_binary())
        options = [*quiet(port), "--appendonly", "yes"]
        if native:
            options += ["--tls-port", str(tls_port), "--tls-auth-clients", "yes"]
            options += ["--tls-ca-cert-file", str(self.papers.authority)]
            options += ["--tls-cert-file", str(self.papers.server), "--tls-key-file", str(self.papers.server_key)]
        self.server = Server(self._folder / str(port), port, *options, binary=binary)
        self.servers = [self.server]
        self.server.ask("ACL", "SETUSER", self.user, "reset", "on", f">{self.password}", *grants)
        self.door = None if native else Door(self.papers, tls_port, port)
        self.url = f"rediss://{self.user}:{quote(self.password, safe='')}@127.0.0.1:{tls_port}/0"

    def stop(self) -> None:
        """End the server, and its door."""
        if self.door is not None:
            self.door.close()
        super().stop()


class Papers:
    """Certificates for one test: an authority, a server on 127.0.0.1, a client."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.authority = folder / "authority.pem"
        key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj"
        self._openssl(f"req -x509 {key} /CN=authority -keyout authority.key -out authority.pem -days 2")
        (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
        for name in ("server", "client"):
            self._openssl(f"req -new {key} /CN={name} -keyout {name}.key -out {name}.csr")
            self._openssl(
                f"x509 -req -in {name}.csr -CA authority.pem -CAkey authority.key -CAcreateserial "
                f"-out {name}.pem -days 2 -extfile names"
            )
        self.server, self.server_key = folder / "server.pem", folder / "server.key"
        self.client, self.client_key = folder / "client.pem", folder / "client.key"

    def _openssl(self, arguments: str) -> None:
        try:
            subprocess.run(["openssl", *arguments.split()], cwd=self._folder, check=True, capture_output=True)  # noqa: S603, S607
        except (OSError, subprocess.CalledProcessError) as error:
            raise KitError(f"no certificates without a working openssl: {getattr(error, 'stderr', error)}") from error


class Door:
    """Takes TLS connections with a client's certificate, and passes what they say on to a server without TLS."""

    def __init__(self, papers: Papers, port: int, to: int) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(papers.authority))
        context.load_cert_chain(papers.server, papers.server_key)
        context.verify_mode = ssl.CERT_REQUIRED
        self._context, self._port, self._to = context, port, to
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="recyclic-tls-door", daemon=True)
        self._open = threading.Event()
        self._thread.start()
        self._open.wait(PATIENCE)

    def close(self) -> None:
        """Cut all connections, and take no more."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            serving = asyncio.start_server(self._pass, "127.0.0.1", self._port, ssl=self._context)
            server = self._loop.run_until_complete(serving)
            self._open.set()
            self._loop.run_forever()
            server.close()
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        finally:
            self._loop.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        near, far = await asyncio.open_connection("127.0.0.1", self._to)
        ways = [asyncio.create_task(self._pump(reader, far)), asyncio.create_task(self._pump(near, writer))]
        with contextlib.suppress(asyncio.CancelledError):  # the door closes
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for end in (writer, far):
            end.transport.abort()
        for way in ways:
            way.cancel()

    @staticmethod
    async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()


def speaks_tls(binary: Path) -> bool:
    """Return whether a server can take TLS connections itself."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(binary), "--port", "0", "--tls-port", "1", "--dir", folder]
        told = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
    return "Failed finding TLS support" not in told.stdout and "Bad directive" not in told.stdout + told.stderr
