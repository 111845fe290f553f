"""Methods of reenactment and losses by name on the command line."""

import pytest

from foundation.errors import PortraitError
from foundation.tensors import write_tensors
from neural_render.methods.base import METHODS, Method, method_of
from portrait.cli import main
from portrait.video.sample import carphone


def refused(capfd, *arguments) -> str:
    capfd.readouterr()
    assert main([str(a) for a in arguments]) == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    return error


def test_an_unknown_method_lists_those_there_are(tmp_path, capfd):
    out, clip = tmp_path / "o.mp4", carphone()
    error = refused(capfd, "reenact", "--source", clip, "--target", clip, "-o", out, "--method", "zzz")
    assert all(name in error for name in METHODS)
    assert "zzz" in error
    error = refused(capfd, "train", tmp_path, clip, "-o", tmp_path / "w", "--method", "zzz")
    assert "deep-video-portraits" in error
    assert list(tmp_path.iterdir()) == []


def test_an_unreadable_loss(tmp_path, capfd):
    assert "--loss 'l1'" in refused(capfd, "train", tmp_path, carphone(), "-o", tmp_path / "w", "--loss", "l1")


@pytest.mark.parametrize("name", sorted(METHODS))
def test_methods_have_their_names(name):
    method = METHODS[name]()
    assert isinstance(method, Method)
    assert method.name == name


def test_method_of_what_is_no_weights(tmp_path):
    (tmp_path / "text").write_text("nothing")
    for path, reason in ((tmp_path / "none", "no such file"), (tmp_path / "text", "not a whole safetensors file")):
        with pytest.raises(PortraitError, match=reason):
            method_of(path)
    write_tensors(tmp_path / "c", "checkpoint", 1, {}, {})
    with pytest.raises(PortraitError, match="expected what 'portrait train' writes"):
        method_of(tmp_path / "c")
