"""Which database an engine URL names, whatever way it is written."""

import os
from functools import lru_cache

from holdfast.durable.names import long_path
from holdfast.engines.urls import parse_url


def database_identity(url: str) -> str:
    """The same text for every URL of one database whose transactions rooms can share.

    Empty for engines without such transactions. Two names of one server (an alias of a host) are
    two databases here: then nothing is shared, and each room commits alone.
    """
    engine = parse_url(url)
    if engine.scheme == "sqlite":
        path = long_path(engine.require_path()).resolve()
        return f"sqlite:{os.path.normcase(path)}"
    if engine.scheme == "postgresql":
        return _postgres_identity(url)
    return ""


@lru_cache(maxsize=64)
def _postgres_identity(url: str) -> str:
    from psycopg.conninfo import conninfo_to_dict

    facts = conninfo_to_dict(url)
    user = facts.get("user") or os.environ.get("PGUSER", "")
    host = facts.get("hostaddr") or facts.get("host") or os.environ.get("PGHOST", "")
    port = facts.get("port") or os.environ.get("PGPORT", "5432")
    name = facts.get("dbname") or os.environ.get("PGDATABASE", user)
    return f"postgresql://{host}:{port}/{name}"
