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
