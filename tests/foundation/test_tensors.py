"""Tensors with a header: there and back, and refused in one line."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
import torch
from safetensors.torch import save_file

from foundation.errors import PortraitError
from foundation.tensors import header_as, read_header, read_tensors, write_tensors
from tests.garbled import spoil_bytes


def test_round_trip(tmp_path):
    shared = torch.arange(6.0)
    path = write_tensors(tmp_path / "w", "weights", 2, {"a": shared, "b": shared.view(2, 3).T}, {"steps": 7})
    tensors, header = read_tensors(path, "weights", 2, "portrait train")
    assert torch.equal(tensors["a"], shared) and torch.equal(tensors["b"], shared.view(2, 3).T)
    assert header == {"kind": "weights", "version": 2, "steps": 7} == read_header(path, "weights", "portrait train")


def test_other_files_are_refused(tmp_path):
    path = write_tensors(tmp_path / "w", "weights", 2, {"a": torch.zeros(1000)}, {})
    with pytest.raises(PortraitError, match="expected weights, version 3, found weights, version 2; .*'train'"):
        read_tensors(path, "weights", 3, "train")
    with pytest.raises(PortraitError, match="expected checkpoint, version 2, found weights"):
        read_tensors(path, "checkpoint", 2, "portrait train")
    with pytest.raises(PortraitError, match="no such file"):
        read_tensors(tmp_path / "none", "weights", 2, "portrait train")
    whole = path.read_bytes()
    for share in (0.0, 0.01, 0.5):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(PortraitError, match="not a whole safetensors file") as raised:
            read_tensors(path, "weights", 2, "portrait train")
        assert "\n" not in str(raised.value)
    save_file({"a": torch.zeros(1)}, tmp_path / "plain")
    assert read_header(tmp_path / "plain", "weights", "x") == {}
    save_file({"a": torch.zeros(1)}, tmp_path / "plain", {"header": "["})
    assert read_header(tmp_path / "plain", "weights", "x") == {}
    with pytest.raises(PortraitError, match="found another kind of file"):
        read_tensors(tmp_path / "plain", "weights", 2, "x")


def test_spoilt_files_are_read_or_refused(tmp_path):
    path = write_tensors(tmp_path / "w", "weights", 1, {"a": torch.arange(6.0)}, {"steps": [1, 2]})
    spoil_bytes(path, lambda: read_tensors(path, "weights", 1, "x"))
    spoil_bytes(path, lambda: read_header(path, "weights", "x"))


@dataclass(frozen=True)
class Square:
    x0: int
    side: int


@dataclass(frozen=True)
class Told:
    size: int
    crop: Square
    sources: tuple[Mapping, ...] = ()
    seconds: float = 0.0


def test_headers_are_checked_by_their_types():
    table = {"size": 64, "crop": {"x0": 1, "side": 9}, "sources": [{"file": "a"}], "seconds": 3, "other": None}
    assert header_as(Told, table, "weights 'w'", "train again") == Told(64, Square(1, 9), ({"file": "a"},), 3.0)
    for name, value in (
        ("size", None),
        ("size", "big"),
        ("size", 6.5),
        ("crop", 3),
        ("crop", {"x0": 1}),
        ("sources", 5),
    ):
        with pytest.raises(PortraitError, match=rf"weights 'w': incomplete header \({name}.*; train again") as raised:
            header_as(Told, {**table, name: value}, "weights 'w'", "train again")
        assert "\n" not in str(raised.value)
    with pytest.raises(PortraitError, match="size"):
        header_as(Told, {"crop": table["crop"]}, "weights 'w'", "train again")
