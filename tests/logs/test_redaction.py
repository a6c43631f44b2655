"""Known secrets never reach a log file."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.logs import get_logger, redact
from holdfast.logs.redaction import forget_secrets
from tests.conftest import Runner

SECRET = 'a "quoted" \\ secret\nof two lines: ü'


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    yield
    forget_secrets()


def test_a_known_value_is_masked_wherever_it_stands(tmp_path: Path) -> None:
    redact([SECRET, "hunter2hunter2"])
    log = get_logger("agent", directory=tmp_path)
    log.info(
        f"got {SECRET}",  # noqa: G004
        nested={"list": [SECRET]},
        key=f"Bearer {SECRET}!",
    )
    log.bind(password="hunter2hunter2").info("bound")
    text = (tmp_path / "agent.log").read_text("utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert lines[0]["message"] == "got ***"
    assert lines[0]["nested"] == {"list": ["***"]}
    assert lines[0]["key"] == "Bearer ***!"
    assert lines[1]["password"] == "***"


def test_of_two_secrets_of_one_beginning_the_longer_one_goes_whole(tmp_path: Path) -> None:
    redact(["sk-abcdef", "sk-abcdef-0123456789"])
    get_logger("agent", directory=tmp_path).info("sk-abcdef-0123456789")
    assert json.loads((tmp_path / "agent.log").read_text("utf-8"))["message"] == "***"


def test_what_is_too_short_to_be_told_apart_stays(tmp_path: Path) -> None:
    redact(["", "on"])
    get_logger("agent", directory=tmp_path).info("on and on")
    assert json.loads((tmp_path / "agent.log").read_text("utf-8"))["message"] == "on and on"


def test_a_process_keeps_the_secrets_of_its_environment_to_itself(
    run_python: Runner, tmp_path: Path
) -> None:
    code = """
        import os, sys
        from pathlib import Path
        from holdfast.logs import get_logger
        get_logger("agent", directory=Path(sys.argv[1])).info(os.environ["API_KEY"], other="open")
    """
    env = {"HOLDFAST_SECRETS": "API_KEY, ABSENT", "API_KEY": "sk-0123456789"}
    done = run_python(code, tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "agent.log").read_text("utf-8")
    assert '"message":"***"' in text
    assert '"other":"open"' in text
