import dataclasses
import json

import pytest
import torch
from safetensors.torch import save, save_file

from foundation.errors import PortraitError
from foundation.tensors import read_tensors, write_tensors
from neural_render import Crop
from neural_render.methods.deep_video_portraits.conditioning import CONDITIONS
from neural_render.methods.deep_video_portraits.weights import Header, Weights, own_track
from neural_render.networks import RefinementUNet
from tests.facemodel.clips import make_track, small_model


class Model:
    name, fingerprint = "small", "f" * 16


def weights(**changes):
    values = {
        "method": "deep-video-portraits", "model": "small", "fingerprint": "f" * 16, "width": 4, "size": 64,
        "window": 11, "crop": Crop(3, 4, 90), "frame_width": 160, "frame_height": 120,
    }  # fmt: skip
    header = Header(**{**values, **changes})
    return Weights(header, RefinementUNet(99, 64, 4).state_dict(), torch.zeros(64, 64, dtype=torch.uint8))


def test_round_trip(tmp_path):
    saved = weights(steps=7, sources=({"name": "a.mp4"},))
    saved.save(tmp_path / "w.safetensors")
    loaded = Weights.load(tmp_path / "w.safetensors", model=Model)
    assert loaded.header == saved.header
    assert all(torch.equal(v, loaded.generator[k]) for k, v in saved.generator.items())
    assert not loaded.network().training


def test_the_clips_track_goes_with_them(tmp_path):
    track = make_track(small_model(), 5)
    saved = dataclasses.replace(weights(model=track.model, fingerprint=track.fingerprint), own=own_track(track))
    own = Weights.load(saved.save(tmp_path / "w")).own
    assert (own.width, own.height, len(own)) == (160, 120, 5) and own.facts == {}
    for name in ("times", "status"):
        assert torch.equal(getattr(own, name), getattr(track, name))
    for field in dataclasses.fields(own.parameters):
        found, expected = (getattr(t.parameters, field.name) for t in (own, track))
        assert torch.equal(found, expected) or found.numel() == expected.numel() == 0
    tensors, header = read_tensors(tmp_path / "w", "weights", 1, "again")
    tensors["own.times"] = tensors["own.times"][:4]
    write_tensors(tmp_path / "short", "weights", 1, tensors, header)
    with pytest.raises(PortraitError, match="the clip's track isn't whole"):
        Weights.load(tmp_path / "short")


def test_another_model_is_refused(tmp_path):
    weights().save(tmp_path / "w")
    other = type("Other", (), {"name": "large", "fingerprint": "0" * 16})
    with pytest.raises(PortraitError, match="trained with model 'small'.*'large'"):
        Weights.load(tmp_path / "w", model=other)


def test_weights_for_other_conditions_are_refused(tmp_path):
    weights(conditions=1).save(tmp_path / "w")
    with pytest.raises(PortraitError, match=f"expected conditions of version {CONDITIONS}, found 1; train again"):
        Weights.load(tmp_path / "w")


def test_broken_files_are_refused(tmp_path):
    whole = weights().save(tmp_path / "w")
    (tmp_path / "cut").write_bytes(whole.read_bytes()[:-1000])
    (tmp_path / "text").write_text("not a network")
    save_file({"a": torch.zeros(2)}, tmp_path / "foreign")
    write_tensors(tmp_path / "checkpoint", "checkpoint", 1, {"a": torch.zeros(2)}, {})
    for name, reason in [
        ("cut", "not a whole safetensors file"),
        ("text", "not a whole safetensors file"),
        ("foreign", "expected weights, version 1"),
        ("checkpoint", "expected weights, version 1"),
        ("absent", "no such file"),
    ]:
        with pytest.raises(PortraitError, match=reason) as error:
            Weights.load(tmp_path / name)
        assert "\n" not in str(error.value)


def test_tensors_that_do_not_fit_the_header(tmp_path):
    with pytest.raises(PortraitError, match="don't fit a 64 px network of width 8"):
        weights(width=8).network()


def test_weights_written_before_are_read(tmp_path):
    """Headers once said where the clip was within ``target``, and had a name of the format."""
    new = weights(steps=3)
    header = {
        "format": "video-portraits weights", "kind": "weights", "version": 1, "method": "deep-video-portraits",
        "model": "small", "fingerprint": "f" * 16, "width": 4, "size": 64, "window": 11,
        "crop": {"x0": 3, "y0": 4, "side": 90}, "frame_width": 160, "frame_height": 120, "conditions": CONDITIONS,
        "norm": "batch", "steps": 3, "seconds": 1.5, "target": {"source": {"file": "a.mp4"}, "clip_frames": 9},
    }  # fmt: skip
    tensors = {f"generator.{k}": v for k, v in new.generator.items()} | {"region": new.region}
    (tmp_path / "old").write_bytes(save(tensors, metadata={"header": json.dumps(header)}))
    found = Weights.load(tmp_path / "old", model=Model)
    assert found.header.sources == ({"file": "a.mp4"},) and found.header.target["clip_frames"] == 9
    assert (found.header.crop, found.header.seconds) == (Crop(3, 4, 90), 1.5)
    assert torch.equal(found.region, new.region) and found.network() is not None
    del header["conditions"]
    (tmp_path / "older").write_bytes(save(tensors, metadata={"header": json.dumps(header)}))
    with pytest.raises(PortraitError, match="train again"):
        Weights.load(tmp_path / "older")
