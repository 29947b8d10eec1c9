"""The cache servers."""

from __future__ import annotations

import os
from pathlib import Path

from tests.servers.server import Server, ask


class Redis(Server):
    """Nothing on disk; listens on `socket` too."""

    name = "redis"
    program = "redis-server"

    def command(self) -> list[str]:
        listen = ["--bind", self.host, "--port", str(self.port), "--unixsocket", str(self.socket)]
        return [self.executable, *listen, "--save", "", "--appendonly", "no", "--dir", str(self.directory)]

    def is_ready(self) -> bool:
        return ask(self.host, self.port, b"PING\r\n").startswith((b"+PONG", b"-NOAUTH"))

    @property
    def url(self) -> str:
        """Without a database, so that one may be chosen by an option."""
        return f"redis://{self.address}"

    @property
    def socket(self) -> Path:
        return self.directory / "redis.sock"


class Memcached(Server):
    """64 MB, as by default."""

    name = "memcached"
    program = "memcached"

    def command(self) -> list[str]:
        as_root = ["-u", "root"] if os.geteuid() == 0 else []
        return [self.executable, "-l", self.host, "-p", str(self.port), "-U", "0", *as_root]

    def is_ready(self) -> bool:
        return ask(self.host, self.port, b"version\r\n").startswith(b"VERSION")
