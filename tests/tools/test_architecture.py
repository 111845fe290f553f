"""What `tools.architecture` finds in a small project: arrows against the order, circles, private names, counts."""

from __future__ import annotations

import pytest

from tools.architecture import __main__ as command
from tools.architecture.counts import by_package, constants_of, count
from tools.architecture.imports import STAGES, arrows, circles, faults, package, read, sub_package


@pytest.fixture
def project(tmp_path):
    """A function that writes modules, given by their names, in packages that are all there."""
    for stage in STAGES:
        (tmp_path / stage).mkdir()
        (tmp_path / stage / "__init__.py").touch()

    def write(**texts):
        for name, text in texts.items():
            path = tmp_path.joinpath(*name.split("__")).with_suffix(".py")
            for folder in reversed(path.relative_to(tmp_path).parents[:-1]):
                (tmp_path / folder).mkdir(exist_ok=True)
                (tmp_path / folder / "__init__.py").touch()
            path.write_text(text)
        return read(tmp_path)

    return write


def test_the_right_way_is_no_fault(project):
    modules = project(
        geometry__camera="from foundation import errors\n",
        foundation__errors="import os\n",
        facemodel__io__one="from geometry.camera import Camera\nfrom facemodel.io._inner import parse\n",
        facemodel__io___inner="def parse(): ...\n",
    )
    assert faults(modules) == []
    assert arrows(modules, package) == {("geometry", "foundation"): 1, ("facemodel", "geometry"): 1}
    assert sub_package("facemodel.io.one") == "facemodel.io"


def test_an_arrow_against_the_order_is_found_in_functions_too(project):
    modules = project(
        portrait__cli="X = 1\n",
        geometry__camera="def f():\n    from portrait.cli import X\n    return X\n",
        facemodel__track="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from portrait.cli import X\n",
    )
    assert faults(modules) == ["geometry/camera.py:2: geometry imports portrait.cli, which comes after it"]


def test_circles_of_modules_and_of_sub_packages(project):
    modules = project(
        fitting__a__one="import fitting.b.two\n",
        fitting__b__two="from fitting.a import three\n",
        fitting__a__three="x = 1\n",
    )
    assert faults(modules) == ["sub-packages in a circle: fitting.a, fitting.b"]
    modules = project(fitting__a__three="def f():\n    from fitting.a import one\n")
    assert faults(modules)[0] == "modules in a circle: fitting.a.one, fitting.a.three, fitting.b.two"


def test_private_names_and_private_modules_of_others(project):
    modules = project(
        renderer__maps="_x = 1\n",
        renderer__scene="from renderer.maps import _x\n",
        fitting__energy___table="y = 1\n",
        fitting__solver__state="from fitting.energy._table import y\n",
    )
    assert faults(modules) == [
        "renderer/scene.py:1: imports the private name _x of renderer.maps",
        "fitting/solver/state.py:1: imports fitting.energy._table, which is its folder's own",
    ]


def test_components_that_reach_each_other():
    assert circles([("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("e", "d")]) == [["a", "b", "c"]]
    assert circles([("a", "b"), ("b", "c"), ("a", "c")]) == []


def test_counts(project):
    text = "A, B = 1, 2\n_C: int = 3\nd = 4\n\nclass E:\n    F = 1\n    def g(self, x, *, y=1, **z): ...\n"
    modules = project(foundation__errors=text)
    found = by_package(modules.values())["foundation"]
    assert (found.files, found.lines, found.constants) == (2, 7, 3)
    assert (found.widest, found.widest_name) == (3, "foundation.errors.g")
    assert constants_of(modules["foundation.errors"].tree) == ["A", "B", "_C"]
    assert count([]).files == 0


def test_the_command_says_it_and_fails(project, monkeypatch, capsys, tmp_path):
    project(foundation__errors="import geometry.camera\n", geometry__camera="")
    monkeypatch.setattr(command, "ROOT", tmp_path)
    assert command.main() == 1
    shown = capsys.readouterr().out
    assert "1 against the order\n  foundation/errors.py:1: foundation imports geometry.camera" in shown
    project(foundation__errors="", geometry__camera="import foundation.errors\n")
    assert command.main() == 0 and "0 against the order" in capsys.readouterr().out
