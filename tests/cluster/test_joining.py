"""What keeps a machine from being a node is said in one line with a way out."""

import contextlib
import os
from pathlib import Path

import pytest

from console.serve import serve
from renderers.i18n import translator
from tests.cluster.nodes import Cluster, folder
from tests.integration.server import free_port

DATABASE = "postgresql://nobody@127.0.0.1:1/nothing"


@pytest.fixture(autouse=True)
def no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine where nobody has set one."""
    monkeypatch.setattr(os, "environ", dict(os.environ) | {"HOME": str(tmp_path)})
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        os.environ.pop(name, None)


def said(capsys: pytest.CaptureFixture[str], data: Path, database: str | None) -> str:
    address = f"127.0.0.1:{free_port()}"
    code = serve(data, database, "", 8000, translator("en"), ray_address=address)
    assert code == 2
    return capsys.readouterr().err


def test_a_node_needs_a_database_that_all_reach(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert "--database-url" in said(capsys, tmp_path, None)


def test_a_node_needs_the_token_of_the_cluster(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert "RAY_AUTH_TOKEN" in said(capsys, tmp_path, DATABASE)


@pytest.mark.soak
def test_a_cluster_that_obeys_anybody_is_refused() -> None:
    with folder() as where, contextlib.ExitStack() as stack:
        cluster = Cluster(where)
        cluster.environment["RAY_AUTH_MODE"] = "disabled"
        stack.callback(cluster.stop)
        cluster.postgres.start()
        node, _ = cluster.nodes
        for each in (cluster.head, node):
            each.forget()
            each.start_ray()
            each.wait_ray()
        with pytest.raises(RuntimeError, match="RAY_AUTH_MODE=token"):
            node.start_serve()
            node.wait()
