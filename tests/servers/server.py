"""A server process: how it is found, started, waited for, made to fail, and stopped."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self

READY_WITHIN = 60.0
PORTS_TO_TRY = 3

# Servers that Debian keeps out of a user's PATH.
_PROGRAM_DIRECTORIES = ("/usr/local/sbin", "/usr/sbin", "/usr/lib/postgresql/*/bin", "/opt/homebrew/bin")

# All that this process started and has not closed, oldest first.
running: list[Server] = []


class MissingServer(Exception):  # noqa: N818 - a fact about the machine, not a fault
    """A server's program is not installed; `server` is its name."""

    def __init__(self, server: str, program: str) -> None:
        super().__init__(f"missing server: {server} ({program} is not installed)")
        self.server = server


class Server(ABC):
    """One server process. Started on creation; `options` are added to its command line."""

    name: ClassVar[str]
    program: ClassVar[str]
    account: ClassVar[str | None] = None  # who runs it when we are root, where it refuses root
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    host = "127.0.0.1"

    def __init__(self, *options: str) -> None:
        self.options = options
        self.executable = self.find(self.program)
        self.directory = Path(tempfile.mkdtemp(prefix=f"cacheplus-{self.name}-"))
        self.process: subprocess.Popen[bytes] | None = None
        running.append(self)
        if self._user:
            shutil.chown(self.directory, self._user)
        self.prepare()
        self._start_on_free_port()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @classmethod
    def find(cls, program: str) -> str:
        """The path of `program`; raises MissingServer."""
        found = [str(path) for pattern in _PROGRAM_DIRECTORIES for path in sorted(Path("/").glob(pattern.lstrip("/")))]
        path = shutil.which(program) or shutil.which(program, path=os.pathsep.join(reversed(found)))
        if path is None:
            raise MissingServer(cls.name, program)
        return path

    @property
    def address(self) -> str:
        """Host and port, as memcached clients want them."""
        return f"{self.host}:{self.port}"

    @property
    def is_running(self) -> bool:
        """Whether the process is there, be it paused or not."""
        return self.process is not None and self.process.poll() is None

    @abstractmethod
    def command(self) -> list[str]:
        """The command line without `options`."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether the server answers a question of its own protocol."""

    def prepare(self) -> None:  # noqa: B027 - not every server has something to lay out
        """Lay out the data directory, once."""

    def start(self) -> None:
        """Start on the port it has, and return when it answers."""
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command(), *self.options], stdout=log, stderr=log, stdin=subprocess.DEVNULL, **self._as_account()
            )
        self._wait()

    def stop(self) -> None:
        """Stop in an orderly way; the data stay for the next `start`."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Let it hang: connections are taken by the kernel, nothing answers."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Stop it for good and remove its data."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
        if self in running:
            running.remove(self)

    @property
    def _user(self) -> str | None:
        if self.account is None or os.geteuid() != 0:
            return None
        try:
            return pwd.getpwnam(self.account).pw_name
        except KeyError:
            return "nobody"

    def _as_account(self) -> dict[str, Any]:
        # A session of its own, so that Ctrl-C reaches the tests first and they can still tidy up.
        options: dict[str, Any] = {"cwd": self.directory, "start_new_session": True}
        if self._user:
            options |= {"user": self._user, "group": pwd.getpwnam(self._user).pw_gid, "extra_groups": []}
        return options

    def run(self, *command: str) -> None:
        """Run a helper program as the server's account; raises with its output where it fails."""
        done = subprocess.run(command, capture_output=True, check=False, **self._as_account())
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed for {self.name}:\n{(done.stdout + done.stderr).decode()[-2000:]}")

    def _start_on_free_port(self) -> None:
        for attempt in range(1, PORTS_TO_TRY + 1):
            self.port = free_port()
            try:
                self.start()
            except RuntimeError:
                # Somebody may have taken the port between our look and the server's.
                if attempt == PORTS_TO_TRY:
                    self.close()
                    raise
            else:
                return

    def _wait(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline and self.is_running:
            if self.is_ready() and self.is_running:
                return
            time.sleep(0.02)
        code = self.process.poll()
        self.kill()
        log = (self.directory / "log").read_text(errors="replace")[-2000:]
        state = "still starting" if code is None else f"exit status {code}"
        raise RuntimeError(f"{self.name} does not answer on {self.address} ({state}):\n{log}")

    def _end(self, how: signal.Signals) -> None:
        if not self.is_running:
            return
        assert self.process is not None
        self.process.send_signal(how)
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def free_port() -> int:
    """A loopback port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(host: str, port: int, question: bytes) -> bytes:
    """The first bytes of the answer, or none where nobody answers within a second."""
    try:
        with socket.create_connection((host, port), 1) as connection:
            connection.settimeout(1)
            connection.sendall(question)
            return connection.recv(64)
    except OSError:
        return b""
