import os
import subprocess
import sys
import textwrap

import pytest
import torch
from safetensors.torch import save_file

from foundation.errors import PortraitError
from neural_render.methods.deep_video_portraits.conditioning import CONDITIONS, Crop
from neural_render.methods.deep_video_portraits.weights import Weights, WeightsHeader, read, write_atomic
from neural_render.networks import RefinementUNet


class Model:
    name, fingerprint = "small", "f" * 16


def weights(**changes):
    values = {
        "method": "deep-video-portraits", "model": "small", "fingerprint": "f" * 16, "width": 4, "size": 64,
        "window": 11, "crop": Crop(3, 4, 90), "frame_width": 160, "frame_height": 120,
    }  # fmt: skip
    header = WeightsHeader(**{**values, **changes})
    return Weights(header, RefinementUNet(99, 64, 4).state_dict(), torch.zeros(64, 64, dtype=torch.uint8))


def test_round_trip(tmp_path):
    saved = weights(steps=7, target={"source": {"name": "a.mp4"}})
    saved.save(tmp_path / "w.safetensors")
    loaded = Weights.load(tmp_path / "w.safetensors", model=Model, size=64)
    assert loaded.header == saved.header
    assert all(torch.equal(v, loaded.generator[k]) for k, v in saved.generator.items())
    assert not loaded.network().training


def test_other_model_and_other_size_are_refused(tmp_path):
    weights().save(tmp_path / "w")
    other = type("Other", (), {"name": "large", "fingerprint": "0" * 16})
    with pytest.raises(PortraitError, match="trained with model 'small'.*'large'"):
        Weights.load(tmp_path / "w", model=other)
    with pytest.raises(PortraitError, match="trained for 64 px, asked for 256"):
        Weights.load(tmp_path / "w", size=256)


def test_weights_for_other_conditions_are_refused(tmp_path):
    weights(conditions=1).save(tmp_path / "w")
    with pytest.raises(PortraitError, match=f"expected conditions of version {CONDITIONS}, found 1; train again"):
        Weights.load(tmp_path / "w")


def test_broken_files_are_refused(tmp_path):
    whole = weights().save(tmp_path / "w")
    (tmp_path / "cut").write_bytes(whole.read_bytes()[:-1000])
    (tmp_path / "text").write_text("not a network")
    save_file({"a": torch.zeros(2)}, tmp_path / "foreign")
    write_atomic(
        tmp_path / "checkpoint",
        {"a": torch.zeros(2)},
        {"format": "video-portraits weights", "kind": "checkpoint"},
    )
    for name, reason in [
        ("cut", "not a whole safetensors file"),
        ("text", "not a whole safetensors file"),
        ("foreign", "expected video-portraits weights"),
        ("checkpoint", "expected video-portraits weights"),
        ("absent", "no such file"),
    ]:
        with pytest.raises(PortraitError, match=reason) as error:
            Weights.load(tmp_path / name)
        assert "\n" not in str(error.value)


def test_tensors_that_do_not_fit_the_header(tmp_path):
    with pytest.raises(PortraitError, match="don't fit a 64 px network of width 8"):
        weights(width=8).network()


def test_killed_while_writing_leaves_the_old_file(tmp_path):
    """The process dies with the new file half written."""
    path = tmp_path / "c"
    write_atomic(path, {"a": torch.ones(3)}, {"format": "video-portraits weights", "kind": "checkpoint", "version": 1})
    script = f"""
        import os, signal, torch
        from neural_render import checkpoint
        checkpoint.save = lambda tensors, metadata: b"x" * 50
        checkpoint.os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)
        checkpoint.write_atomic({str(path)!r}, {{"a": torch.zeros(3)}}, {{}})
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert done.returncode < 0
    assert (tmp_path / "c.partial").read_bytes() == b"x" * 50
    assert torch.equal(read(path, "checkpoint")[0]["a"], torch.ones(3))


def test_unwritable_place_is_a_clear_error(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(PortraitError, match="can't be written"):
        write_atomic(tmp_path / "folder", {"a": torch.zeros(1)}, {})
    assert os.listdir(tmp_path) == ["folder"]
