"""The database servers, which refuse to be run by root."""

from __future__ import annotations

import signal
import subprocess
from typing import Any

from tests.servers.server import Server


class Postgres(Server):
    """A cluster of its own, quick and not durable."""

    name = "postgres"
    program = "postgres"
    account = "postgres"
    stop_signal = signal.SIGINT

    def prepare(self) -> None:
        options = ["-U", "cacheplus", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        self.run(self.find("initdb"), "-D", str(self.directory / "data"), *options)

    def command(self) -> list[str]:
        place = ["-D", str(self.directory / "data"), "-k", str(self.directory)]
        listen = ["-h", self.host, "-p", str(self.port)]
        quick = ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]
        return [self.executable, *place, *listen, *quick]

    def is_ready(self) -> bool:
        question = [self.find("pg_isready"), "-q", "-h", self.host, "-p", str(self.port)]
        return subprocess.run(question, check=False).returncode == 0

    @property
    def dsn(self) -> dict[str, Any]:
        """An entry for DATABASES."""
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "postgres",
            "USER": "cacheplus",
            "HOST": self.host,
            "PORT": str(self.port),
        }


class MariaDB(Server):
    """Quick, not durable, and with a collation that is not exact, as most sites have it."""

    name = "mariadb"
    program = "mariadbd"
    account = "mysql"

    def prepare(self) -> None:
        options = ["--auth-root-authentication-method=normal", "--skip-test-db"]
        self.run(self.find("mariadb-install-db"), "--no-defaults", f"--datadir={self.directory / 'data'}", *options)

    def command(self) -> list[str]:
        place = [f"--{name}={self.directory / name}" for name in ("socket", "pid-file")]
        listen = [f"--bind-address={self.host}", f"--port={self.port}"]
        charset = ["--character-set-server=utf8mb4", "--collation-server=utf8mb4_general_ci"]
        quick = ["--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M", "--skip-name-resolve"]
        data = f"--datadir={self.directory / 'data'}"
        return [self.executable, "--no-defaults", data, *place, *listen, *charset, *quick]

    def is_ready(self) -> bool:
        tool = [self.find("mariadb-admin"), "--no-defaults", "--protocol=tcp"]
        question = [*tool, f"--host={self.host}", f"--port={self.port}", "--user=root", "ping"]
        return subprocess.run(question, capture_output=True, check=False).returncode == 0

    @property
    def dsn(self) -> dict[str, Any]:
        """An entry for DATABASES."""
        install_mysql_driver()
        return {
            "ENGINE": "django.db.backends.mysql",
            "NAME": "mysql",
            "USER": "root",
            "HOST": self.host,
            "PORT": str(self.port),
            "OPTIONS": {"charset": "utf8mb4"},
        }


def install_mysql_driver() -> None:
    """Let PyMySQL stand in for mysqlclient, which needs a compiler and headers."""
    try:
        import MySQLdb  # type: ignore[import-untyped,unused-ignore]  # noqa: F401, PLC0415
    except ImportError:
        import pymysql  # noqa: PLC0415

        # Django asks for the version of mysqlclient that it supports.
        pymysql.version_info = (2, 2, 8, "final", 0)
        pymysql.install_as_MySQLdb()
