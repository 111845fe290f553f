"""The repository's own promises: pins that agree, packages that import in one direction."""

import re
from pathlib import Path

from tools.architecture.imports import STAGES, faults, read

ROOT = Path(__file__).parent.parent


def pins(text: str) -> dict[str, str]:
    found = re.findall(r"^\s*(?:- )?([A-Za-z0-9_.-]+)==([^\s#;]+)", text, re.MULTILINE)
    return {name.lower().replace("_", "-"): version for name, version in found}


def test_environment_has_the_lock_s_pins():
    lock = pins((ROOT / "requirements.lock").read_text())
    environment = pins((ROOT / "environment.yml").read_text())
    assert environment, "no pins found in environment.yml"
    assert environment == {name: lock.get(name) for name in environment}


def test_lock_and_environment_cover_the_project_s_dependencies():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["test"]
    names = {re.match(r"[A-Za-z0-9_.-]+", w)[0].lower().replace("_", "-") for w in wanted}
    assert names <= pins((ROOT / "requirements.lock").read_text()).keys()
    assert names <= pins((ROOT / "environment.yml").read_text()).keys()


def test_packages_import_in_one_direction_and_in_no_circle():
    """What ``python -m tools.architecture`` prints; `make lint` runs it too."""
    assert faults(read(ROOT)) == []


def test_nothing_is_unpickled():
    for stage in [*STAGES, "tools", "benchmarks"]:
        for file in (ROOT / stage).rglob("*.py"):
            for call in re.findall(r"torch\.load\([^)]*\)", file.read_text()):
                assert "weights_only=True" in call, f"{file}: {call}"
            assert not re.search(r"^\s*import pickle|pickle\.load", file.read_text(), re.MULTILINE), file
