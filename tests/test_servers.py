import os
from pathlib import Path

import pytest

from tests import servers

ROOT = Path(__file__).parent.parent
KINDS = [servers.Redis, servers.Memcached, servers.Postgres, servers.MariaDB]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def server(request):
    with request.param() as server:
        yield server


class TestServer:
    def test_comes_back_on_the_same_port_after_a_stop_and_after_a_crash(self, server):
        port = server.port
        for end in (server.stop, server.kill):
            assert server.is_ready()
            end()
            assert not server.is_running
            assert not server.is_ready()
            server.start()
        assert server.is_ready()
        assert server.port == port

    def test_leaves_nothing_behind(self, server):
        server.close()
        assert not server.is_running
        assert not server.directory.exists()


def test_a_paused_server_takes_connections_and_does_not_answer():
    with servers.Redis() as redis:
        redis.pause()
        assert servers.ask(redis.host, redis.port, b"PING\r\n") == b""
        redis.resume()
        assert redis.is_ready()


def test_a_paused_server_can_be_closed():
    with servers.Memcached() as memcached:
        memcached.pause()
    assert not memcached.is_running


def test_options_reach_the_command_line():
    with servers.Redis("--requirepass", "secret") as redis:
        answer = servers.ask(redis.host, redis.port, b"AUTH secret\r\nPING\r\n")
    assert answer.startswith(b"+OK")


def test_a_server_that_cannot_start_says_why():
    with pytest.raises(RuntimeError, match=r"redis does not answer on 127.*exit status 1[\s\S]*no-such-option"):
        servers.Redis("--no-such-option", "1")


def test_a_shared_server_that_was_stopped_is_started_again(redis_server):
    redis_server.stop()
    assert servers.redis() is redis_server
    assert redis_server.is_ready()


@pytest.mark.parametrize("database", ["postgres_database", "mariadb_database"])
def test_a_database_server_is_an_alias_while_the_test_runs(request, database):
    connection = request.getfixturevalue(database)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 41 + 1")
        assert cursor.fetchone() == (42,)


class TestMissingServer:
    OUTER = """
        import pytest
        from tests import servers

        class Unknown(servers.Redis):
            name, program = "unknown", "no-such-program"

        @pytest.fixture(scope="session")
        def unknown():
            return Unknown()

        def test_in_a_fixture(unknown): ...
        def test_in_the_same_fixture(unknown): ...
        def test_in_its_own_body(): Unknown()
        def test_of_something_else(): ...
    """

    @pytest.fixture(autouse=True)
    def _clean(self, monkeypatch):
        monkeypatch.delenv("CI", raising=False)
        monkeypatch.delenv("CACHEPLUS_REQUIRE", raising=False)
        monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
        monkeypatch.setenv("PYTHONPATH", str(ROOT))

    @pytest.fixture
    def outcome(self, pytester):
        pytester.makepyfile(self.OUTER)
        return lambda: pytester.runpytest_subprocess("-p", "tests.missing_servers", "-p", "no:django", "-p", "no:xdist")

    def test_is_a_skip_that_is_counted(self, outcome):
        result = outcome()
        result.assert_outcomes(passed=1, skipped=3)
        result.stdout.fnmatch_lines(["skipped tests: 3; for a missing server: unknown 3"])

    @pytest.mark.parametrize("variable", [("CI", "true"), ("CACHEPLUS_REQUIRE", "redis unknown")])
    def test_is_a_failure_where_it_is_required(self, outcome, monkeypatch, variable):
        monkeypatch.setenv(*variable)
        result = outcome()
        result.assert_outcomes(passed=1, failed=1, errors=2)
        result.stdout.fnmatch_lines(["*missing server: unknown (no-such-program is not installed), and it is *"])

    def test_of_another_server_stays_a_skip(self, outcome, monkeypatch):
        monkeypatch.setenv("CACHEPLUS_REQUIRE", "redis")
        outcome().assert_outcomes(passed=1, skipped=3)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes accounts")
def test_a_server_that_refuses_root_runs_under_its_own_account(postgres_server):
    assert Path(f"/proc/{postgres_server.process.pid}").stat().st_uid != 0
