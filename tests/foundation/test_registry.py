"""Names and what they stand for; packages that are installed beside this one add to them."""

from importlib.metadata import EntryPoint

import pytest

from foundation.errors import PortraitError
from foundation.registry import Registry


def test_values_and_places_of_values():
    table = Registry("shape")
    assert table.add("circle", 3) == 3
    table.add("digest", "hashlib:sha256")
    import hashlib

    assert table["digest"] is hashlib.sha256 and table["circle"] == 3
    assert table.names() == ("circle", "digest") == tuple(table) and "circle" in table and "cube" not in table
    with pytest.raises(PortraitError, match="unknown shape 'circel': did you mean 'circle'"):
        table["circel"]
    table.remove("circle")
    table.remove("circle")
    assert "circle" not in table


def test_installed_packages_are_asked_once_and_only_when_needed(monkeypatch):
    asked = []

    def points(group):
        asked.append(group)
        return [EntryPoint("theirs", "hashlib:md5", group), EntryPoint("ours", "hashlib:md5", group)]

    monkeypatch.setattr("foundation.registry.entry_points", points)
    table = Registry("face model")
    table.add("ours", 1)
    assert table["ours"] == 1 and "ours" in table and not asked
    import hashlib

    assert table["theirs"] is hashlib.md5 and table["ours"] == 1
    assert table.names() == ("ours", "theirs") and asked == ["video_portraits.face_model"]


def test_files_of_a_package_add_themselves(tmp_path, monkeypatch):
    folder = tmp_path / "toy_shapes"
    (folder / "cube").mkdir(parents=True)
    (folder / "__init__.py").write_text(
        "from foundation.registry import Registry\n\nSHAPES = Registry('shape', __name__)\n"
    )
    for file, name, sides in (("ball.py", "ball", 1), ("cube/__init__.py", "cube", 6)):
        (folder / file).write_text(f"from toy_shapes import SHAPES\n\nSHAPES.add('{name}', {sides})\n")
    monkeypatch.syspath_prepend(tmp_path)
    from toy_shapes import SHAPES

    SHAPES.add("cube", 8)  # before the package's files are looked at
    assert SHAPES["ball"] == 1 and SHAPES["cube"] == 8 and set(SHAPES) == {"ball", "cube"}
