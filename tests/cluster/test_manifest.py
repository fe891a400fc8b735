"""docs/kubernetes/strapontin.yaml says what the code reads: options, environment, port, paths."""

import inspect
import os
import re
import shlex
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from console import cli
from console.cli import app
from engine.actors import local_ray
from gateway import http_health
from gateway.limits import READY_TIMEOUT_S

MANIFEST = Path(__file__).parents[2] / "docs" / "kubernetes" / "strapontin.yaml"
OURS = ("STRAPONTIN_PUBLIC_URL", "DATABASE_URL")
RAYS = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_USAGE_STATS_ENABLED", "RAY_worker_niceness")


@pytest.fixture(scope="module")
def objects() -> dict[str, Any]:
    return {each["kind"]: each for each in yaml.safe_load_all(MANIFEST.read_text())}


@pytest.fixture(scope="module")
def head(objects: dict[str, Any]) -> dict[str, Any]:
    return container(objects["RayCluster"]["spec"]["headGroupSpec"])


@pytest.fixture(scope="module")
def node(objects: dict[str, Any]) -> dict[str, Any]:
    (group,) = objects["RayCluster"]["spec"]["workerGroupSpecs"]
    assert group["replicas"] == group["minReplicas"] == group["maxReplicas"] >= 2
    return container(group)


def container(group: dict[str, Any]) -> dict[str, Any]:
    (only,) = group["template"]["spec"]["containers"]
    return dict(only)


def environment(container: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each.get("value") for each in container["env"]}


def commands(container: dict[str, Any]) -> list[list[str]]:
    (script,) = container["args"]
    return [shlex.split(line) for line in script.replace("\\\n", "").splitlines()]


def options(command: list[str]) -> dict[str, str]:
    return dict(part.split("=", 1) for part in command if part.startswith("--"))


def test_the_command_is_one_that_the_program_takes(node: dict[str, Any]) -> None:
    *_, serve = commands(node)
    assert serve[:3] == ["exec", "strapontin", "serve"]
    command, bound, _ = app.parse_args(serve[2:], print_error=False, exit_on_error=False)
    assert command is cli.serve
    arguments = bound.arguments
    assert arguments["ray_address"] == "$FQ_RAY_IP:6379"
    assert arguments["host"] == "$POD_IP" and "POD_IP" in environment(node)
    (port,) = node["ports"]
    assert arguments["port"] == port["containerPort"]
    (mount,) = node["volumeMounts"]
    assert str(arguments["data"]) == mount["mountPath"]


def test_ray_is_started_where_the_command_joins_it(
    node: dict[str, Any], head: dict[str, Any]
) -> None:
    ray = next(command for command in commands(node) if command[:2] == ["ray", "start"])
    serve = commands(node)[-1]
    assert options(ray)["--address"] == options(serve)["--ray-address"]
    assert options(ray)["--node-ip-address"] == options(serve)["--host"]
    assert {port["containerPort"] for port in head["ports"]} == {6379}


def test_the_version_of_ray_is_ours(objects: dict[str, Any]) -> None:
    assert objects["RayCluster"]["spec"]["rayVersion"] == version("ray")


def test_every_variable_is_one_that_somebody_reads(
    node: dict[str, Any], head: dict[str, Any]
) -> None:
    # POD_IP is for the command; what Ray reads is asked of it where it can be.
    assert set(environment(node)) == {*OURS, *RAYS, "POD_IP"}
    assert set(environment(head)) == set(RAYS)
    reading = inspect.getsource(cli) + (Path(cli.__file__).parent / "serve.py").read_text()
    assert [name for name in OURS if f'"{name}"' not in reading] == []
    local = inspect.getsource(local_ray)
    assert [name for name in RAYS if f'"{name}"' not in local] == []
    for name in re.findall(r"# (STRAPONTIN_\w+), (STRAPONTIN_\w+)", MANIFEST.read_text())[0]:
        assert f'"{name}"' in reading


def test_the_token_is_asked_for_everywhere_and_is_in_no_file(
    node: dict[str, Any], head: dict[str, Any]
) -> None:
    for each in (node, head):
        assert environment(each)["RAY_AUTH_MODE"] == "token"
        assert environment(each)["RAY_AUTH_TOKEN"] is None, "it comes from the secret"
    text = MANIFEST.read_text()
    for key in ("database-url", "ray-token"):
        assert f"--from-literal={key}=" in text and f"key: {key}" in text


def test_nothing_of_the_house_runs_on_the_head(
    objects: dict[str, Any], head: dict[str, Any]
) -> None:
    assert objects["RayCluster"]["spec"]["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert "strapontin serve" not in head["args"][0]


def test_the_probes_ask_routes_that_there_are(node: dict[str, Any]) -> None:
    routes = {route.path for route in http_health.routes}  # type: ignore[attr-defined]
    ports = {port["name"] for port in node["ports"]}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = node[probe]["httpGet"]
        assert asked["path"] in routes and asked["port"] in ports
    assert node["readinessProbe"]["timeoutSeconds"] > READY_TIMEOUT_S
    assert node["livenessProbe"]["httpGet"]["path"] == "/healthz", "a takeover is no death"


def test_the_service_and_the_rest_find_the_nodes(objects: dict[str, Any]) -> None:
    (group,) = objects["RayCluster"]["spec"]["workerGroupSpecs"]
    labels = group["template"]["metadata"]["labels"]
    assert objects["Service"]["spec"]["selector"].items() <= labels.items()
    (port,) = objects["Service"]["spec"]["ports"]
    assert port["targetPort"] == container(group)["ports"][0]["name"]
    chosen = objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]
    assert chosen.items() <= labels.items()
    assert objects["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"].items() <= labels.items()


def test_the_manual_names_the_file_and_its_variables() -> None:
    manual = (MANIFEST.parents[1] / "operations.md").read_text()
    assert os.path.relpath(MANIFEST, MANIFEST.parents[2]) in manual
    for name in (*OURS, "RAY_AUTH_TOKEN", "--ray-address"):
        assert name in manual
