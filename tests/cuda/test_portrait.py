"""What the commands do with a GPU."""

from __future__ import annotations

import numpy as np
import torch


def test_device(device):
    from portrait.services.setup import Setup, pick_device

    assert pick_device("auto") == "cuda" and pick_device("cuda") == "cuda" and pick_device("cpu") == "cpu"
    assert Setup(device=device).face_model().mean.device.type == torch.device(device).type


def test_the_scripted_performance_is_mixed(gpu_model, track):
    """What ``portrait demo`` does where no video of a driver is given."""
    from facemodel import mix
    from portrait.performance import scripted_performance

    source = scripted_performance(gpu_model, 25.0, 0.3)
    mixed = mix(source, track, gpu_model)
    assert mixed.parameters.translation.device.type == "cpu" and len(mixed) == len(source)


def test_pictures_of_a_track(model, gpu_model, clip, track, device):
    from portrait.reports.page import colour_errors, with_model
    from portrait.services.exporting import albedo_texture
    from portrait.services.rendering import map_frames, overlay_frames
    from tests.fitting.rendered import Frames

    names, made = ["diffuse", "depth", "eyes"], []
    for head in (model, gpu_model):
        maps = [m[n] for m in map_frames(head, track, names, 128, 128) for n in names]
        over = list(overlay_frames(head, track, Frames(clip[1]), "depth", 128, 128, 0.5))
        near = [show(head, track, 2, clip[1][2]) for show in (with_model, colour_errors)]
        made.append([np.stack(pictures).astype(int) for pictures in (maps, over, near)])
    for cpu, gpu in zip(*made):
        assert cpu.shape == gpu.shape and np.abs(cpu - gpu).mean() < 1
    assert albedo_texture(model, track, 64).shape == (64, 64, 3)


def test_meshes(model, gpu_model, track):
    from facemodel.export.mesh import frame_facts, frame_mesh

    cpu, gpu = (frame_mesh(track, 1, head) for head in (model, gpu_model))
    for name, value in vars(cpu).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_allclose(getattr(gpu, name), value, atol=1.01 if value.dtype == np.uint8 else 1e-2)
    a, b = (frame_facts(track, 1, head)["landmarks"]["pixels"] for head in (model, gpu_model))
    np.testing.assert_allclose(a, b, atol=0.01)
