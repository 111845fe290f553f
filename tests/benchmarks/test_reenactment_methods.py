"""What the trained network is compared with."""

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.reenactment_methods import ABLATIONS, Blanked, BlankedInput, nearest_frames, pasted
from neural_render.methods.deep_video_portraits.conditioning import CHANNELS, condition
from tests.facemodel.clips import make_track, small_model


class Maps:
    """Training data that is all ones."""

    name = "maps"

    def __len__(self):
        return 3

    def batch(self, samples, window):
        return torch.ones(len(samples), window, 4, 4, CHANNELS, dtype=torch.uint8), torch.ones(len(samples), 4, 4, 3)


def test_nearest_is_the_frame_itself_and_ignores_light():
    track = make_track(small_model(), 12)
    assert nearest_frames(track, np.array([3, 7]), np.arange(12)).tolist() == [3, 7]
    p = track.parameters
    moved = {name: getattr(p, name).clone() for name in ("expression", "rotation", "translation", "gaze")}
    for values in moved.values():
        values[3] = values[9] + 1e-3
    light = p.illumination.clone()
    light[9] += 5
    track = track.with_parameters(p.replace(**moved, illumination=light))
    assert nearest_frames(track, np.array([3]), np.arange(5, 12)).tolist() == [9]


def test_pasted_shows_the_model_where_it_is_seen():
    maps, behind = np.zeros((1, 6, 6, CHANNELS), np.uint8), np.full((1, 6, 6, 3), 9, np.uint8)
    maps[0, 1:4, 3:] = 50
    picture = pasted(maps, behind)
    assert (picture[0, 2, 4:] == 50).all() and (picture == 9).sum() == 3 * 34


@pytest.mark.parametrize("name, hidden", [("no_eyes", [6, 7, 8]), ("no_correspondence", [3, 4, 5]),
                                          ("diffuse_only", [3, 4, 5, 6, 7, 8])])  # fmt: skip
def test_an_ablation_hides_the_same_channels_in_training_and_synthesis(name, hidden):
    blank = ABLATIONS[name].blank
    seen = [k for k in range(CHANNELS) if k not in hidden]
    trained, _ = Blanked(Maps(), blank).batch(np.arange(2), 3)
    assert (trained[..., hidden] == 0).all() and (trained[..., seen] == 1).all()
    whole, _ = Maps().batch(np.arange(2), 3)
    assert torch.equal(BlankedInput(nn.Identity(), blank)(condition(whole)), condition(trained))
    assert Blanked(Maps(), blank).name != Blanked(Maps(), ABLATIONS["full"].blank).name
