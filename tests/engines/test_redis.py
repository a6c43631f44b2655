"""Redis: refused unless it is as durable as asked, clear errors, found again after a restart."""

from contextlib import closing

import pytest

from holdfast.engines.redis import PREFIX, open_redis, redis_errors
from holdfast.engines.urls import parse_url
from holdfast.errors import BusyError, NewerFormatError, StorageError, UsageError
from tests.conftest import Runner
from tests.servers import RedisServer


def test_the_version_of_a_room_is_kept(redis_url: str) -> None:
    url = parse_url(redis_url)
    with closing(open_redis(url, room="jobs", version=1)) as client:
        assert client.hgetall(PREFIX + "rooms") == {b"jobs": b"1"}
    with closing(open_redis(url, room="jobs", version=2)):
        pass
    with closing(open_redis(url, room="others", version=3)) as client:
        client.hset(PREFIX + "rooms", "jobs", 3)
    with pytest.raises(NewerFormatError, match="version 3; this Holdfast knows 2"):
        open_redis(url, room="jobs", version=2)


@pytest.mark.parametrize(
    ("setting", "value", "cause"),
    [
        ("appendonly", "no", "no append-only file"),
        ("appendfsync", "everysec", "answers before it has written"),
        ("maxmemory-policy", "allkeys-lru", "forgets keys"),
    ],
)
def test_a_server_that_may_forget_is_refused(
    own_redis: RedisServer, setting: str, value: str, cause: str
) -> None:
    url = parse_url(own_redis.url(0))
    with closing(open_redis(url, room="jobs", version=1)) as client:
        client.config_set("maxmemory", "100mb")
        client.config_set(setting, value)
        with pytest.raises(UsageError, match=cause):
            open_redis(url, room="jobs", version=1)


def test_power_needs_a_server_that_syncs(own_redis: RedisServer) -> None:
    url = parse_url(own_redis.url(0))
    with closing(open_redis(url, room="jobs", version=1)) as client:
        with pytest.raises(UsageError, match="cannot keep the promise 'power'"):
            open_redis(url, room="jobs", version=1, durability="power")
        client.config_set("appendfsync", "always")
        open_redis(url, room="jobs", version=1, durability="power").close()


def test_a_restarted_server_is_found_again(own_redis: RedisServer) -> None:
    url = parse_url(own_redis.url(0))
    with closing(open_redis(url, room="jobs", version=1)) as client:
        client.set("a", "b")
        own_redis.kill()
        with pytest.raises(StorageError, match="lost the connection"), redis_errors(url):
            client.get("a")
        with pytest.raises(StorageError, match="lost the connection"):
            open_redis(url, room="jobs", version=1)
        own_redis.start()
        assert client.get("a") == b"b"


def test_a_full_server_refuses_and_keeps(own_redis: RedisServer) -> None:
    url = parse_url(own_redis.url(0))
    with closing(open_redis(url, room="jobs", version=1)) as client:
        client.set("a", "b")
        client.config_set("maxmemory", "1")
        with pytest.raises(StorageError, match="out of memory"), redis_errors(url):
            client.set("c", "d")
        assert client.get("a") == b"b"
        client.config_set("maxmemory", "0")
        assert client.set("c", "d")


def test_too_many_clients_is_a_clear_error(own_redis: RedisServer) -> None:
    url = parse_url(own_redis.url(0))
    with closing(open_redis(url, room="jobs", version=1)) as client:
        client.config_set("maxclients", "1")
        with pytest.raises(BusyError, match="too many clients"):
            open_redis(url, room="jobs", version=1)


def test_a_missing_driver_names_the_extra(run_python: Runner) -> None:
    code = """
import sys
sys.modules["redis"] = None
from holdfast.engines.redis import open_redis
from holdfast.engines.urls import parse_url
from holdfast.errors import MissingError
try:
    open_redis(parse_url("redis://localhost"), room="jobs", version=1)
except MissingError as error:
    print(error)
"""
    assert "pip install 'holdfast[redis]'" in run_python(code).stdout
