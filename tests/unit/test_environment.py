"""environment.yml and pyproject.toml name the same packages, pinned."""

import re
import tomllib
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parents[2]


def test_conda_and_pip_lists_are_equal() -> None:
    project = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
    wanted = set(project["dependencies"]).union(*project["optional-dependencies"].values())
    conda = yaml.safe_load((HERE / "environment.yml").read_text())
    (listed,) = (entry["pip"] for entry in conda["dependencies"] if isinstance(entry, dict))
    assert set(listed) == wanted
    assert f"python{project['requires-python']}" in conda["dependencies"]


def test_every_package_is_pinned() -> None:
    project = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
    for packages in (project["dependencies"], *project["optional-dependencies"].values()):
        for package in packages:
            assert re.fullmatch(r"[\w.-]+==[\w.]+", package), package
