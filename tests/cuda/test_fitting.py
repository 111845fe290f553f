"""Fits on the GPU come out as fits on the CPU do, and their tracks lie on the CPU."""

from __future__ import annotations

from dataclasses import fields
from functools import cache

import pytest
import torch

SIZE = 256


class TrueLandmarks:
    """A detector that knows a scene's landmarks; it knows a picture again by its bytes."""

    name, scheme = "known", "mediapipe478"

    def __init__(self, scene) -> None:
        self.known = {p.tobytes(): marks for p, marks in zip(scene.pictures, scene.landmarks)}

    def detect(self, picture):
        from fitting.landmarks.base import Face

        return [Face(self.known[picture.tobytes()], self.scheme, 1.0)]

    def refine(self, picture, centre, size):
        return self.detect(picture)[0]


def tensors_of(track):
    """All tensors of a track, by name."""
    parameters = {f.name: getattr(track.parameters, f.name) for f in fields(track.parameters)}
    own = {"times": track.times, "status": track.status, "confidence": track.confidence, "landmarks": track.landmarks}
    return parameters | own | track.energies | {f"spread.{k}": v for k, v in track.spread.items()}


def check_alike(model, cpu, gpu):
    """Both devices found the same face; sums are taken in another order, so no more than nearly."""
    from renderer import rotation_matrix

    a, b = cpu.parameters, gpu.parameters
    turn = rotation_matrix(a.rotation).transpose(-1, -2) @ rotation_matrix(b.rotation)
    degrees = ((turn.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2).clamp(-1, 1).acos().rad2deg()
    assert degrees.max() < 0.5
    face = model.regions["face"]
    apart = (model.vertices(a.identity)[face] - model.vertices(b.identity)[face]).norm(dim=-1)
    assert apart.mean() < 0.5
    assert (a.focal / b.focal - 1).abs() < 0.02 and (a.translation / b.translation - 1)[..., 2].abs().max() < 0.02
    assert (a.expression - b.expression).abs().mean() < 0.02 and (a.gaze - b.gaze).abs().max() < 0.1
    for name in ("landmarks", "photometric", "brightness", "visible"):
        values = {where: track.energies[name].nan_to_num(-1) for where, track in (("cpu", cpu), ("gpu", gpu))}
        assert torch.allclose(values["gpu"], values["cpu"], rtol=0.1, atol=0.01), (name, values)
    assert torch.equal(cpu.status, gpu.status) and cpu.facts["key_frames"] == gpu.facts["key_frames"]


def check_on_cpu(track):
    assert {name for name, tensor in tensors_of(track).items() if tensor.device.type != "cpu"} == set()


@cache
def scene(model):
    from synthetic import make_scene

    try:
        return make_scene(model, 3, 1, SIZE)
    except FileNotFoundError as error:
        pytest.skip(f"scikit-image comes without the photographs of backgrounds here: {error}")


def test_image(model, device):
    from fitting import fit_image

    drawn = scene(model)
    cpu, gpu = (
        fit_image(drawn.pictures[0], model=model, detector=TrueLandmarks(drawn), device=where)
        for where in ("cpu", device)
    )
    check_on_cpu(gpu)
    check_alike(model, cpu, gpu)
    assert cpu.facts["colours_trusted"] == gpu.facts["colours_trusted"]
    assert model.mean.device.type == "cpu"  # the caller's model stays where it was


@pytest.fixture(scope="module")
def fits(model, gpu_model, clip, device, tmp_path_factory):
    """A clip of six frames, the fourth of them without a face, fitted on both; the GPU's with a checkpoint."""
    from tests.fitting.rendered import fit

    _, pictures, points = clip
    points = [None if k == 3 else p for k, p in enumerate(points)]
    kept = tmp_path_factory.mktemp("checkpoint")
    gpu = fit(gpu_model, pictures[:6], points, device=device, checkpoint=kept)
    again = fit(gpu_model, pictures[:6], points, device=device, checkpoint=kept)
    return fit(model, pictures[:6], points), gpu, again


def test_clip(model, clip, fits):
    cpu, gpu, _ = fits
    check_on_cpu(gpu)
    check_alike(model, cpu, gpu)
    off = (gpu.parameters.rotation - clip[0].rotation[:6])[gpu.tracked].norm(dim=-1)
    assert gpu.tracked.tolist() == [True, True, True, False, True, True] and off.max() < 0.1


def test_tracks_are_saved_and_loaded(model, fits, tmp_path):
    from facemodel import Track

    track = fits[1]
    loaded = Track.load(track.save(tmp_path / "track"), model)
    for name, tensor in tensors_of(loaded).items():
        assert torch.equal(tensor.nan_to_num(-1), tensors_of(track)[name].nan_to_num(-1)), name


def test_a_stopped_fit_goes_on(fits):
    from tests.fitting.rendered import same

    same(fits[1], fits[2])  # all was in the checkpoint already


def test_online(gpu_model, clip):
    from fitting.tracking.online import OnlineTracker
    from tests.fitting.rendered import FAST, KnownLandmarks

    truth, pictures, points = clip
    tracker = OnlineTracker(gpu_model, KnownLandmarks(points), SIZE, SIZE, collect=0.1, settings=FAST)
    found = [tracker(picture, k / 25).parameters for k, picture in enumerate(pictures)]
    assert [p is None for p in found] == [True] * 4 + [False] * 4
    for k in range(4, 8):
        assert found[k].rotation.device.type == "cpu"
        assert (found[k].rotation - truth.rotation[k]).norm() < 0.1


def test_mask_network(clip, device):
    from fitting.landmarks.base import Face
    from fitting.observation.crop import cut_out
    from fitting.occlusion.parts import seen_parts

    _, pictures, points = clip
    crop = cut_out(pictures[0], Face(points[0], "mediapipe478", 1.0), 128)
    parts = [seen_parts(crop.observe((64,), where)).cpu().argmax(1) for where in ("cpu", device)]
    assert (parts[0] != parts[1]).float().mean() < 0.01


def test_textures(model, gpu_model, clip, device):
    """One frame's texture, and all frames' in one."""
    from fitting.texture import TextureMerger, frame_texture

    truth, pictures, _ = clip
    results = []
    for head in (model, gpu_model):
        p, merger = truth.to(head.mean.device), TextureMerger(64)
        frames = [frame_texture(head, p[k], torch.from_numpy(pictures[k]), 64) for k in (0, 7)]
        assert all(f.confidence.device == head.mean.device for f in frames)
        for take in (merger.add, merger.refine):
            for f in frames:
                take(f)
        results.append([frames[0].delit.cpu(), frames[0].confidence.cpu(), *merger.result()])
    for a, b in zip(*results):
        off = (a - b).abs()
        assert off.median() < 1e-3 and off.quantile(0.98) < 0.05
