"""The example scripts, image, compose file and manifests: run, or judged by the strictest tools."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from holdfast.engines.urls import parse_url
from holdfast.queues import Queue
from holdfast.workspace.creation import create
from holdfast.workspace.layers import keys_of
from holdfast.workspace.layout import Layout
from holdfast.workspace.settings import SettingsDocument
from tests.clients import node
from tests.conftest import Runner, child_environment, require_program
from tests.servers import RedisServer, own_server, require_redis


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    home = tmp_path_factory.mktemp("home")
    return create(home / "development", home=home, examples=True).layout


def judge(program: str, *arguments: str | Path) -> None:
    """Let a tool of this Python's environment, or of the PATH, judge."""
    beside = Path(sys.executable).with_name(program + (".exe" if sys.platform == "win32" else ""))
    found = str(beside) if beside.is_file() else require_program(program)
    command = [found, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def loaded(path: Path) -> list[Any]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def deploy(layout: Layout, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(node()).parent), os.environ["PATH"]])
    return subprocess.run(
        [require_program("bash"), str(layout.root / "scripts/deploy.sh"), *arguments],
        env=child_environment({"PYTHON": sys.executable, "PATH": path, **more}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


PASSWORDS = {"POSTGRES_PASSWORD": "bees", "REDIS_PASSWORD": "wasps"}

on_posix = pytest.mark.skipif(sys.platform == "win32", reason="deploy.sh is for a POSIX shell")


@on_posix
def test_the_shell_script_passes_shellcheck(layout: Layout) -> None:
    script = layout.root / "scripts/deploy.sh"
    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in script.read_text(encoding="utf-8")
    # All checks but the two on taste: braces around every variable, one command a line.
    judge("shellcheck", "--enable=all", "--exclude=SC2250,SC2312", script)


@on_posix
def test_a_deployment_is_refused_before_it_begins(layout: Layout, tmp_path: Path) -> None:
    assert deploy(layout).returncode == 2
    assert deploy(layout, "swarm").returncode == 2
    assert "usage:" in deploy(layout, "--help").stdout
    refused = deploy(layout, "--dry-run", "compose")
    assert (refused.returncode, "no wheel of Holdfast" in refused.stderr) == (1, True)
    wheel = tmp_path / "holdfast-1.0-py3-none-any.whl"
    wheel.touch()
    given = ("--dry-run", "--skip-tests", "--wheel", str(wheel), "compose")
    refused = deploy(layout, *given, POSTGRES_PASSWORD="", REDIS_PASSWORD="")
    assert (refused.returncode, "are not set" in refused.stderr) == (1, True)
    environment, before = layout.environment, layout.environment.read_bytes()
    environment.write_text('{"PORT": 1}', encoding="utf-8")
    refused = deploy(layout, *given, **PASSWORDS)
    environment.write_bytes(before)
    assert (refused.returncode, "a configuration is wrong" in refused.stderr) == (1, True)


@on_posix
@pytest.mark.parametrize("target", ["compose", "k8s"])
def test_a_dry_run_says_what_would_be_run(layout: Layout, tmp_path: Path, target: str) -> None:
    wheel = tmp_path / "holdfast-1.0-py3-none-any.whl"
    wheel.touch()
    tests = [] if target == "compose" else ["--skip-tests"]
    done = deploy(layout, "--dry-run", *tests, "--wheel", str(wheel), target, **PASSWORDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ("2 passed, 0 failed" in done.stdout) == (target == "compose")
    expected = "docker compose --file" if target == "compose" else "kubectl apply --kustomize k8s"
    assert f"+ {expected}" in done.stdout
    assert not (layout.root / "docker/wheels").exists(), "a dry run leaves nothing behind"


def test_the_runner_finds_runs_and_reports(layout: Layout) -> None:
    failing = layout.agents / "tests" / "test_wrong.py"
    failing.parent.mkdir()
    failing.write_text("def test_it():\n    assert 1 == 2, 'one is not two'\n", encoding="utf-8")
    (layout.servers / "financial/node_modules/x").mkdir(parents=True)
    (layout.servers / "financial/node_modules/x/test_no.py").write_text("1 / 0", encoding="utf-8")
    path = os.pathsep.join([str(Path(node()).parent), os.environ["PATH"]])

    def runner(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(layout.root / "scripts/test-runner.py"), *arguments],
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=200,
            check=False,
        )

    try:
        done = runner("--json")
        report = {each["folder"]: each for each in json.loads(done.stdout)}
        wrong = report.pop("agents/tests")
        assert (done.returncode, wrong["status"]) == (1, "failed")
        assert "one is not two" in wrong["output"]
        assert {folder: each["status"] for folder, each in report.items()} == {
            "mcp-servers/financial": "passed",
            "mcp-servers/utilities": "passed",
        }, report
        told = runner("agents")
        assert told.returncode == 1
        assert "0 passed, 1 failed" in told.stdout
        assert runner("nowhere").returncode == 5
        assert "agents/tests (python)" in runner("--list").stdout
    finally:
        failing.unlink()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no wheel of hadolint for Windows")
def test_the_dockerfile_passes_hadolint(layout: Layout) -> None:
    judge("hadolint", "--failure-threshold", "style", layout.root / "docker/Dockerfile")


def test_the_dockerfile_never_asks_an_index_for_holdfast(layout: Layout) -> None:
    """The name there belongs to somebody else."""
    text = (layout.root / "docker/Dockerfile").read_text(encoding="utf-8")
    assert "pip install holdfast" not in text
    assert 'install "$1[redis,postgres]"' in text
    assert "HEALTHCHECK" in text
    users = [line for line in text.splitlines() if line.startswith("USER ")]
    assert users == ["USER 10001:10001"]
    kept_out = (layout.root / "docker/Dockerfile.dockerignore").read_text(encoding="utf-8").split()
    assert {".holdfast", "**/.env", "docker/.env", "**/node_modules"} <= set(kept_out)


def test_the_compose_file_follows_its_schema(layout: Layout) -> None:
    compose = layout.root / "docker/docker-compose.yml"
    judge("check-jsonschema", "--builtin-schema", "vendor.compose-spec", compose)
    [document] = loaded(compose)
    services = document["services"]
    assert set(services) == {"worker", "postgres", "redis"}
    assert all("ports" not in each for each in services.values()), "nothing is open to others"
    assert_known_settings(services["worker"]["environment"])


def assert_known_settings(environment: dict[str, str]) -> None:
    """Every variable for Holdfast is one of its settings, and its value an engine's URL."""
    known = {key.variable for key in keys_of(SettingsDocument)}
    ours = {name: text for name, text in environment.items() if name.startswith("HOLDFAST_")}
    assert set(ours) <= known
    schemes = [parse_url(text).scheme for _, text in sorted(ours.items())]
    assert schemes == ["postgresql", "redis", "postgresql"]


def test_what_compose_gives_redis_is_durable_enough(layout: Layout) -> None:
    """The real server with the very arguments of the compose file, and a queue in it."""
    require_redis()
    [document] = loaded(layout.root / "docker/docker-compose.yml")
    given = document["services"]["redis"]["command"][1:]
    given = ["wasps" if each.startswith("${REDIS_PASSWORD") else each for each in given]

    class Redis(RedisServer):
        def command(self) -> list[str | Path]:
            program, *place = list(super().command())[:7]
            return [program, *place, *given]

        def answers(self) -> bool:
            import redis

            try:
                with redis.Redis(port=self.port, password="wasps") as client:
                    return bool(client.ping())
            except redis.RedisError:
                return False

    with own_server(Redis) as server:
        url = f"redis://:wasps@127.0.0.1:{server.port}/0"
        with Queue("jobs", url=url, durability="power") as queue:
            queue.put("bees")
            assert [each.body for each in queue.take()] == ["bees"]


def manifests(layout: Layout) -> list[Path]:
    [kustomization] = loaded(layout.root / "k8s/kustomization.yaml")
    return [layout.root / "k8s" / name for name in kustomization["resources"]]


def test_every_manifest_follows_kubernetes_schemas(layout: Layout) -> None:
    found = set((layout.root / "k8s").rglob("*.yaml"))
    assert found - {layout.root / "k8s/kustomization.yaml"} == set(manifests(layout))
    judge("kubernetes-validate", "--strict", *sorted(manifests(layout)))


def test_every_container_is_confined_probed_and_limited(layout: Layout) -> None:
    documents = [each for path in manifests(layout) for each in loaded(path)]
    deployments = {d["metadata"]["name"]: d for d in documents if d["kind"] == "Deployment"}
    assert set(deployments) == {"worker", "postgres", "redis"}
    for name, deployment in deployments.items():
        pod = deployment["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in (*pod.get("initContainers", []), *pod["containers"]):
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert {"cpu", "memory"} == set(container["resources"]["limits"])
            assert ":" in container["image"], "pinned by a tag"
        for container in pod["containers"]:
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                assert container[probe]["exec"]["command"], (name, probe)
    services = {d["metadata"]["name"]: d["spec"] for d in documents if d["kind"] == "Service"}
    assert {name: each["selector"] for name, each in services.items()} == {
        "postgres": {"app": "postgres"},
        "redis": {"app": "redis"},
    }
    worker = deployments["worker"]["spec"]["template"]["spec"]["containers"][0]
    assert_known_settings({e["name"]: e["value"] for e in worker["env"] if "value" in e})


def test_the_health_check_of_the_image_asks_the_store(
    layout: Layout, tmp_path: Path, holdfast: Runner, postgres_url: str
) -> None:
    """As in the image: without a state of its own the workspace is adopted, then it works."""
    root = tmp_path / "image" / "workspace"
    shutil.copytree(layout.root, root, ignore=shutil.ignore_patterns(".holdfast"))
    text = (layout.root / "docker/Dockerfile").read_text(encoding="utf-8")
    assert "holdfast adopt /workspace --home /var/lib/holdfast" in text
    adopted = holdfast("adopt", root, "--home", tmp_path / "image" / "home")
    assert adopted.returncode == 0, adopted.stderr
    command = json.loads(text.split("CMD ", 1)[1].splitlines()[0])
    assert command[0] == "holdfast"
    where = {"HOLDFAST_WORKSPACE": str(root), "HOLDFAST_WORKFLOWS_URL": postgres_url}
    healthy = holdfast(*command[1:], env=where)
    assert healthy.returncode == 0, healthy.stderr
    away = "postgresql://holdfast@127.0.0.1:9/holdfast?connect_timeout=2"
    assert holdfast(*command[1:], env={**where, "HOLDFAST_WORKFLOWS_URL": away}).returncode != 0
