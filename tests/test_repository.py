"""The repository's own promises: pins that agree, packages that import in one direction."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STAGES = ["foundation", "geometry", "facemodel", "renderer", "fitting"]
STAGES += ["synthetic", "neural_render", "recognition", "portrait"]


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


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_imports_only_stages_before_it(stage):
    later = set(STAGES[STAGES.index(stage) + 1 :])
    for file in (ROOT / stage).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [a.name for a in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            bad = {n.split(".")[0] for n in names} & later
            assert not bad, f"{file.relative_to(ROOT)}:{node.lineno} imports {bad}"


def test_nothing_is_unpickled():
    for stage in [*STAGES, "tools", "benchmarks"]:
        for file in (ROOT / stage).rglob("*.py"):
            for call in re.findall(r"torch\.load\([^)]*\)", file.read_text()):
                assert "weights_only=True" in call, f"{file}: {call}"
            assert not re.search(r"^\s*import pickle|pickle\.load", file.read_text(), re.MULTILINE), file
