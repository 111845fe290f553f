"""Landmarks to motion codes, a picture and codes to pictures, and those who judge both."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neural_render.methods.common.carrying import led
from neural_render.networks import AdaIN, DownModule, warp

HIDDEN = 256  # of the motion encoder's layers
CHANGES = 4.0  # times changes from frame to frame are as D_tmp sees them, about as large as pictures then
FLOW = 1.0  # farthest that a pixel comes from beside where landmarks lead, of a picture's half side
NEAR = 0.1  # of half a crop, in which landmarks lead what is around them
LEADING = 100  # landmarks are enough for that, about
REACH = 0.1  # of half a crop, by which the network's 1 moves a landmark: a step of Adam's isn't to move it further


class MotionEncoder(nn.Module):
    """E_L: sequences of landmarks (N, T, L, 2) to motion codes (N, T, M), of length sqrt(M) each.

    A frame's points alone, two layers; then two convolutions over three frames, the first and last frame going on for
    ever. So any length goes in.
    """

    def __init__(self, points: int, codes: int) -> None:
        super().__init__()
        self.register_buffer("middle", torch.zeros(points, 2))
        self.register_buffer("spread", torch.ones(()))
        self.of_frame = nn.Sequential(nn.Linear(2 * points, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU())
        self.over_time = nn.Conv1d(HIDDEN, HIDDEN, 3, padding=1, padding_mode="replicate")
        self.to_code = nn.Conv1d(HIDDEN, codes, 3, padding=1, padding_mode="replicate")

    @torch.no_grad()
    def learn_scale(self, landmarks: Tensor) -> None:
        """Takes the mean of landmarks (N, L, 2) and their spread about it for the middle of its input."""
        self.middle.copy_(landmarks.mean(0))
        self.spread.copy_((landmarks - self.middle).std())

    def scaled(self, landmarks: Tensor) -> Tensor:
        """Landmarks (..., L, 2) less the middle of people's, in their spread."""
        return (landmarks - self.middle) / self.spread

    def forward(self, landmarks: Tensor) -> Tensor:
        x = self.of_frame(self.scaled(landmarks).flatten(2)).transpose(1, 2)
        x = self.to_code(x + F.relu(self.over_time(x))).transpose(1, 2).float()
        return F.normalize(x, dim=-1) * x.shape[-1] ** 0.5


class LandmarkMover(nn.Module):
    """Where somebody's landmarks are once they do as they are told.

    Two layers look at the landmarks (N, L, 2) as ``scaled``, their motion code (N, M) and the wanted ones (N, T, M):
    (N, T, L, 2), by how much those move, of half a crop.
    """

    def __init__(self, points: int, codes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2 * (points + codes), HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU()
        )
        self.to_offsets = nn.Linear(HIDDEN, 2 * points)
        nn.init.zeros_(self.to_offsets.weight)
        nn.init.zeros_(self.to_offsets.bias)

    def forward(self, scaled: Tensor, own: Tensor, wanted: Tensor) -> Tensor:
        known = torch.cat([scaled.flatten(1), own], 1)[:, None].expand(-1, wanted.shape[1], -1)
        offsets = self.to_offsets(self.layers(torch.cat([known, wanted], 2)))
        return REACH * offsets.float().unflatten(2, (-1, 2))


class StyledUp(nn.Module):
    """Doubled by the nearest pixel, the encoder's features beside it, 3 x 3 convolution, AdaIN, ReLU."""

    def __init__(self, inputs: int, skips: int, outputs: int, styles: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs + skips, outputs, 3, padding=1)
        self.style = AdaIN(outputs, styles)

    def forward(self, x: Tensor, skip: Tensor, style: Tensor) -> Tensor:
        x = torch.cat([F.interpolate(x, scale_factor=2, mode="nearest"), skip], 1)
        return F.relu(self.style(self.convolution(x), style))


class ContentGenerator(nn.Module):
    """E_C and the decoder: a target's picture (N, 3, S, S), its motion and the wanted ones to pictures (N, T, 3, S, S).

    The content encoder halves the picture to S / 8; the mean of its last features is the identity code. Pixels come
    from where the landmarks lead, and from beside it as a decoder says that is told identity and motion; the picture
    and the finest features are fetched from there, and a second, at full size, says what is painted over them.
    """

    def __init__(self, width: int, codes: int) -> None:
        super().__init__()
        w = (width, 2 * width, 4 * width)
        self.down = nn.ModuleList(
            DownModule(a, b, norm) for a, b, norm in zip((3, *w), w, ("none", "instance", "instance"))
        )
        styles = w[-1] + 2 * codes
        self.to_style = nn.Sequential(nn.Linear(styles, styles), nn.ReLU())
        self.bend = nn.Conv2d(w[2], w[2], 3, padding=1)
        self.bend_style = AdaIN(w[2], styles)
        self.up = nn.ModuleList([StyledUp(w[2], w[1], w[1], styles), StyledUp(w[1], w[0], w[0], styles)])
        self.to_flow = nn.Conv2d(w[0], 2, 3, padding=1)
        self.paint = StyledUp(2 * w[0], 3, w[0], styles)
        self.to_picture = nn.Conv2d(w[0] + 3, 4, 3, padding=1)  # colours beside features, whose mean is normalised away
        nn.init.normal_(self.to_flow.weight, std=1e-3)
        nn.init.zeros_(self.to_flow.bias)

    def forward(self, picture: Tensor, own: Tensor, wanted: Tensor, points: Tensor, there: Tensor) -> Tensor:
        """own (N, M), the motion code of the picture itself; wanted (N, T, M).

        points (N, L, 2): the picture's landmarks; there (N, T, L, 2): where they come to.
        """
        features, x = [], picture
        for module in self.down:
            x = module(x)
            features.append(x)
        count = wanted.shape[1]
        identity = x.mean((2, 3))
        known = torch.cat([identity.float(), own.float()], 1).repeat_interleave(count, 0)
        style = self.to_style(torch.cat([known, wanted.float().flatten(0, 1)], 1))
        fine, middle, x, picture = (t.repeat_interleave(count, 0) for t in (*features, picture))
        x = F.relu(self.bend_style(self.bend(x), style))
        x = self.up[1](self.up[0](x, middle, style), fine, style)
        flow = FLOW * torch.tanh(self.to_flow(x).float())
        some = slice(None, None, max(1, points.shape[1] // LEADING))
        lead = led(points[:, some].repeat_interleave(count, 0), there.flatten(0, 1)[:, some], NEAR).movedim(-1, 1)
        flow = flow + F.interpolate(lead, size=flow.shape[-2:], mode="bilinear", align_corners=False)
        large = F.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=False)
        fetched = warp(picture.float(), large.movedim(1, -1))
        x = torch.cat([x, warp(fine.float(), flow.movedim(1, -1)).to(x.dtype)], 1)
        x = self.paint(x, fetched.to(x.dtype), style)
        x = self.to_picture(torch.cat([x, fetched.to(x.dtype)], 1)).float()
        made = torch.lerp(fetched, torch.tanh(x[:, :3]), torch.sigmoid(x[:, 3:] - 2))  # begins with little paint
        return made.unflatten(0, (-1, count))


class Outcome(NamedTuple):
    """Of a step of N drivers and B more sequences of landmarks, T frames each."""

    made: Tensor  # (N, T, 3, S, S)
    there: Tensor  # (B, 2, T, L, 2) landmarks of somebody who shall do as either sequence says
    codes: Tensor  # (B, 2, T, M) of the sequences


class MotionNetworks(nn.Module):
    """The motion encoder, what moves landmarks, and the generator."""

    def __init__(self, points: int, width: int, codes: int) -> None:
        super().__init__()
        self.motion = MotionEncoder(points, codes)
        self.mover = LandmarkMover(points, codes)
        self.generator = ContentGenerator(width, codes)

    def placed(self, points: Tensor, own: Tensor, wanted: Tensor) -> Tensor:
        """(N, T, L, 2): somebody's landmarks (N, L, 2), of motion codes (N, M), once those are (N, T, M)."""
        return points[:, None] + self.mover(self.motion.scaled(points), own, wanted)

    def drawn(self, picture: Tensor, points: Tensor, own: Tensor, wanted: Tensor) -> Tensor:
        """(N, T, 3, S, S): pictures (N, 3, S, S) whose landmarks those are, so."""
        return self.generator(picture, own, wanted, points, self.placed(points, own, wanted))

    def forward(self, picture: Tensor, own: Tensor, driver: Tensor, sequences: Tensor, stills: Tensor) -> Outcome:
        """Targets (N, 3, S, S), their landmarks (N, L, 2), drivers' (N, T, L, 2).

        sequences (B, 2, T, L, 2): what either of a pair does shall those do whose landmarks are stills (B, L, 2).
        """
        codes = self.motion(torch.cat([driver, sequences.flatten(0, 1)]))
        wanted, codes = codes[: len(driver)], codes[len(driver) :].unflatten(0, (-1, 2))
        mine, others = self.motion(torch.cat([own, stills])[:, None])[:, 0].split([len(own), len(stills)])
        there = self.placed(stills, others, codes.flatten(1, 2)).unflatten(1, (2, -1))
        return Outcome(self.drawn(picture, own, mine, wanted), there, codes)


class PeopleClassifier(nn.Module):
    """D_C: motion codes (..., M) to logits of people (..., people)."""

    def __init__(self, codes: int, people: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(codes, HIDDEN), nn.LeakyReLU(0.2), nn.Linear(HIDDEN, people))

    def forward(self, codes: Tensor) -> Tensor:
        return self.layers(codes).float()


class Judge(nn.Module):
    """D_I, D_tmp, D_id: what is stacked as channels (N, inputs, S, S) to logits of patches, positive for real."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([
            DownModule(inputs, width, "none"), DownModule(width, 2 * width, "instance"),
            DownModule(2 * width, 4 * width, "instance"), nn.Conv2d(4 * width, 1, 3, padding=1),
        ])  # fmt: skip

    def forward(self, x: Tensor) -> list[Tensor]:
        """Each layer's activations, the logits last."""
        found = []
        for layer in self.layers:
            x = layer(x)
            found.append(x)
        return [*found[:-1], x.float()]


class Judges(nn.Module):
    """The discriminators of pictures: D_I of one, D_id of one beside a target's, D_tmp of a sequence's changes."""

    def __init__(self, frames: int, width: int, *, temporal: bool) -> None:
        super().__init__()
        self.picture, self.who = Judge(3, width), Judge(6, width)
        self.sequence = Judge(3 * (frames - 1), width) if temporal else None

    def compare(
        self, made: Tensor, real: Tensor, target: Tensor, same: Tensor, other: Tensor
    ) -> tuple[dict[str, tuple[Tensor, Tensor, Tensor]], tuple[list[Tensor], list[Tensor]]]:
        """Logits by name: of what is real, of what isn't, and those of the latter that the generator is told of.

        And D_tmp's features, but for its logits, of made and of real sequences; none where there is no D_tmp.

        made, real (N, T, 3, S, S); target (N, 3, S, S), same another picture of that person, other one of another.
        """
        of_made = self.picture(made.flatten(0, 1))[-1]
        found = {"picture": (self.picture(real.flatten(0, 1))[-1], of_made, of_made)}
        who = lambda x: self.who(torch.cat([target, x], 1))[-1]  # noqa: E731
        of_made = who(made[:, 0])
        found["who"] = (who(same), torch.cat([of_made, who(other)]), of_made)
        if self.sequence is None:
            return found, ([], [])
        of_made, of_real = (self.sequence(CHANGES * x.diff(dim=1).flatten(1, 2)) for x in (made, real))
        found["sequence"] = (of_real[-1], of_made[-1], of_made[-1])
        return found, (of_made[:-1], of_real[:-1])
