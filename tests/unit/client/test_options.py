"""What mypy knows of docker-py's keywords is what the client takes; and mypy sees a wrong call."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from minidock.client import options, types
from minidock.client.models import run

CHECKOUT = Path(__file__).resolve().parents[3]


def test_the_keywords_are_those_that_are_taken() -> None:
    host = {*types.HOST_CONFIG, *types.GONE, "network_mode"}
    assert options.HostOptions.__annotations__.keys() == host
    mine = {"ports", "volumes", "network", "networking_config", "detach"}
    assert options.CreateOptions.__annotations__.keys() | {"image", "command"} == run.HOST_KEYWORDS | run.CREATE_KEYWORDS | mine


CALLS = """
from minidock import from_env
from minidock.cli.context import Context, Globals

api = Context("run", Globals()).api
client = from_env()
reveal_type(api)  # minidock.client.api.APIClient
reveal_type(client.containers.run("busybox", detach=True))  # minidock.client.models.containers.Container
reveal_type(client.containers.run("busybox", stream=True))  # typing.Iterator[bytes]
api.start("c")
client.containers.run("busybox", mem_limit="64m", volumes={"/src": {"bind": "/dst"}})
api.starts("c")  # wrong
api.stop("c", timeout="ten")  # wrong
api.create_container("busybox", ttty=True)  # wrong
api.create_host_config(mem_limits=1)  # wrong
client.containers.run("busybox", mem_limits="64m")  # wrong
client.containers.run("busybox", cpu_shares="many")  # wrong
client.containers.create("busybox", hostname=1)  # wrong
"""


def test_mypy_sees_a_wrong_call(tmp_path: Path) -> None:
    """Of the commands' client and of the public one. The calls that are right are the control: nothing is said of them."""
    (tmp_path / "calls.py").write_text(CALLS)
    words = ("--strict", "--no-error-summary", "--no-pretty", "--config-file", str(CHECKOUT / "pyproject.toml"))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *words, str(tmp_path / "calls.py")], cwd=CHECKOUT, capture_output=True, text=True
    )
    said = [line.split(":", 3) for line in done.stdout.splitlines()]  # file, line, kind, words
    lines = dict(enumerate(CALLS.splitlines(), 1))
    wrong = [number for number, line in lines.items() if line.endswith("# wrong")]
    assert sorted({int(number) for _, number, kind, _ in said if kind == " error"}) == wrong, done.stdout + done.stderr
    for number, line in lines.items():
        if line.startswith("reveal_type"):
            expected = line.partition("# ")[2]
            (found,) = [text for _, at, _, text in said if int(at) == number]
            assert found.strip() == f'Revealed type is "{expected}"'
