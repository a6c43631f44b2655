"""Queues on Redis and PostgreSQL. Both sides use one server, so they survive the same."""

from benchmarks.cases import Case, Program, ServerKind, Side, per_second

_OURS = Program("server_queues", "benchmarks.ours.server_queues")
_HUEY = Program("server_queues", "benchmarks.peers.huey_redis", True, "huey")
_DRAMATIQ = Program("server_queues", "benchmarks.peers.dramatiq_redis", True, "dramatiq")
_PGQUEUER = Program("server_queues", "benchmarks.peers.pgqueuer_queue", True, "pgqueuer")

_AOF = "append-only file, appendfsync no"
_COMMIT = "fsync, synchronous_commit on"


def cases(quick: bool) -> list[Case]:
    """The rows."""
    few = 20 if quick else 1
    return [
        _redis_put(10_000 // few),
        _redis_jobs(10_000 // few),
        _postgres_put(2_000 // few),
        _postgres_batch(20_000 // few),
        _postgres_jobs(5_000 // few),
        _flat("redis", 20_000 // few, 200_000 // few),
        _flat("postgresql", 5_000 // few, 200_000 // few),
    ]


def _redis_put(count: int) -> Case:
    def side(name: str, program: Program) -> Side:
        return Side(name, program, "put", _AOF, {"count": count}, "redis")

    return Case(
        name="queues/redis-put",
        what="put one by one, Redis",
        unit="messages/s",
        survives="a crash",
        ours=side("holdfast", _OURS),
        peers=(side("huey", _HUEY), side("dramatiq", _DRAMATIQ)),
        figure=per_second,
        target={"huey": 1.0},
    )


def _redis_jobs(count: int) -> Case:
    def side(name: str, program: Program, how: str) -> Side:
        return Side(name, program, "jobs", f"{_AOF}{how}", {"count": count}, "redis")

    return Case(
        name="queues/redis-jobs",
        what="no-op jobs of one worker, Redis",
        unit="jobs/s",
        survives="a crash",
        ours=side("holdfast", _OURS, ""),
        peers=(
            side("dramatiq -t 8", _DRAMATIQ, ""),
            side("huey", _HUEY, ", gone when taken"),
        ),
        figure=per_second,
        target={"dramatiq -t 8": 3.0},
    )


def _postgres_put(count: int) -> Case:
    def side(name: str, program: Program) -> Side:
        return Side(name, program, "put", _COMMIT, {"count": count}, "postgresql")

    return Case(
        name="queues/postgres-put",
        what="put one by one, PostgreSQL",
        unit="messages/s",
        survives="a power cut",
        ours=side("holdfast", _OURS),
        peers=(side("pgqueuer", _PGQUEUER),),
        figure=per_second,
        target={"pgqueuer": 1.5},
    )


def _postgres_batch(count: int) -> Case:
    def side(name: str, program: Program) -> Side:
        parameters = {"count": count, "batch": 1000}
        return Side(name, program, "put_many", _COMMIT, parameters, "postgresql")

    return Case(
        name="queues/postgres-batch",
        what="put in batches of 1,000, PostgreSQL",
        unit="messages/s",
        survives="a power cut",
        ours=side("holdfast", _OURS),
        peers=(side("pgqueuer", _PGQUEUER),),
        figure=per_second,
        target={"pgqueuer": 1.5},
    )


def _postgres_jobs(count: int) -> Case:
    def side(name: str, program: Program) -> Side:
        return Side(name, program, "jobs", _COMMIT, {"count": count}, "postgresql")

    return Case(
        name="queues/postgres-jobs",
        what="no-op jobs of one worker, PostgreSQL",
        unit="jobs/s",
        survives="a power cut",
        ours=side("holdfast", _OURS),
        peers=(side("pgqueuer", _PGQUEUER),),
        figure=per_second,
        target={"pgqueuer": 3.0},
    )


def _flat(server: ServerKind, count: int, backlog: int) -> Case:
    how = _AOF if server == "redis" else _COMMIT

    def side(name: str, waiting: int) -> Side:
        return Side(name, _OURS, "jobs", how, {"count": count, "backlog": waiting}, server)

    little = "holdfast with 2,000"
    return Case(
        name=f"queues/{server}-flat",
        what=f"no-op jobs, {backlog:,} waiting beside 2,000",
        unit="jobs/s",
        survives="a crash" if server == "redis" else "a power cut",
        ours=side("holdfast", backlog),
        peers=(side(little, 2_000),),
        figure=per_second,
        target={little: round(1 / 1.3, 2)},
    )
