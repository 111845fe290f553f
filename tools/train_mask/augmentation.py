"""Hair, things before the face, cast shadows and a camera for synthetic people, and what is then seen where."""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fitting.landmarks.network import SIZE as DRAWN
from fitting.observation.crop import level_picture
from fitting.occlusion.network import SIZE
from tools.train_landmarks import augmentation
from tools.train_landmarks.augmentation import BACKGROUNDS
from tools.train_mask.occluders import thing

FIELDS = 64  # smooth random fields, for wavy edges
MEANINGLESS = 0.75  # share of a face in shadow, from which on the shadow is its usual light
ELSEWHERE = 0.2  # what a pixel of the head counts outside of its face: synthetic people are bald, or have painted hair
GAMMA = 2.2  # sRGB is near this power, which is exact enough for a shadow
FOREHEAD, CHIN = 10, 152  # MediaPipe's points


class MaskAugmentation(augmentation.Augmentation):
    """(N, S, S, 5) uint8 pictures and (N, L, 2) px points to pictures, shares of `PARTS` and weights.

    They are (N, 3, SIZE, SIZE) in [0, 1], as the level of an observation has them, (N, 3, SIZE, SIZE), (N, SIZE, SIZE).
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.draw = np.random.default_rng(seed)
        scales = [F.interpolate(torch.randn(FIELDS, 1, n, n, generator=self.g), DRAWN, mode="bicubic") for n in (4, 9)]
        self.fields = scales[0] + 0.4 * scales[1]  # (FIELDS, 1, DRAWN, DRAWN)
        ramp = torch.linspace(-1, 1, DRAWN)
        self.x, self.y = ramp[None, None, None, :], ramp[None, None, :, None]

    def __call__(self, pictures: np.ndarray, points: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        seen, where = self.square(pictures, points)
        n, alpha, face = len(seen), seen[:, 3:4], seen[:, 4:5]
        out = self.before_background(seen, where)
        out, hair = self._hair(out, where)
        skin = alpha * (1 - hair)
        things, before = self._things(out, face, where)
        light, dark = self._light(face * (1 - hair), 0.5)
        alone = self.sometimes(0.4, n)  # the shadow falls on the head and on nothing else
        out = out * self._where(light, alone, alpha)
        out = out * (1 - before) + things * self._where(light, alone, torch.zeros_like(alpha)) * before
        skin = skin * (1 - before)
        shares = torch.cat([skin * (1 - dark), skin * dark, 1 - skin], 1)
        weights = 1 - (1 - ELSEWHERE) * skin * (1 - face)
        gain = self.uniform(0.7, 1.35, n, 1, 1, 1) * self.uniform(0.9, 1.1, n, 3, 1, 1)
        out = (out * gain).clamp(1e-4, 1) ** self.uniform(0.8, 1.25, n, 1, 1, 1)
        scale = DRAWN // SIZE
        return self._level(out), F.avg_pool2d(shares, scale), F.avg_pool2d(weights, scale)[:, 0]

    @staticmethod
    def _where(light: Tensor, alone: Tensor, alpha: Tensor) -> Tensor:
        """What sRGB is multiplied by: the light, but where it doesn't fall."""
        return (1 - (1 - light) * (1 - alone * (1 - alpha))) ** (1 / GAMMA)

    def _field(self, n: int) -> Tensor:
        """(n, 1, DRAWN, DRAWN) smooth, about standard normal."""
        field = self.fields[torch.randint(FIELDS, (n,), generator=self.g)]
        return field.roll(int(self.uniform(0, DRAWN)), 3)

    def _light(self, face: Tensor, share: float) -> tuple[Tensor, Tensor]:
        """(N, 1, DRAWN, DRAWN): linear light that is left by a shadow, and 1 in it; 1 and 0 for the unshadowed."""
        n = len(face)
        one = lambda low, high: self.uniform(low, high, n, 1, 1, 1)  # noqa: E731
        angle = one(0, 2 * math.pi)
        along = self.x * angle.cos() + self.y * angle.sin() - one(-0.55, 0.55)
        across = self.y * angle.cos() - self.x * angle.sin() - one(-0.5, 0.5)
        curved = self.sometimes(0.5, n)
        line = along + curved * (one(-1.2, 1.2) * across.square() + one(0, 0.15) * self._field(n))
        blob = 0.35 * (self._field(n) - one(-0.8, 0.8))
        edge = torch.where(self.sometimes(0.25, n) > 0, blob, line)
        left = self.uniform(0.1, 0.65, n, 1, 1, 1)
        softness = (one(math.log(0.005), math.log(0.12))).exp()
        dark = (edge < 0).float()
        kept = (face * dark).sum((1, 2, 3), True) < MEANINGLESS * face.sum((1, 2, 3), True)
        kept = kept * self.sometimes(share, n)
        return 1 - kept * (1 - left) * (-edge / softness).sigmoid(), dark * kept

    def _hair(self, picture: Tensor, where: Tensor) -> tuple[Tensor, Tensor]:
        """Hair about the face of half of them, short or long, dark or fair: picture and its alpha."""
        n = len(picture)
        top, chin = where[:, FOREHEAD] * 2 - 1, where[:, CHIN] * 2 - 1
        up, middle = (top - chin)[..., None, None], where.mean(1)[..., None, None] * 2 - 1
        length = up.square().sum(1, True)
        x, y = self.x - middle[:, :1], self.y - middle[:, 1:]
        a, b = (x * up[:, :1] + y * up[:, 1:]) / length, (x * up[:, 1:] - y * up[:, :1]) / length  # of a face's height
        one = lambda low, high: self.uniform(low, high, n, 1, 1, 1)  # noqa: E731
        wavy = one(0, 0.06) * self._field(n)
        outer = ((a - one(0.1, 0.3)) / one(0.5, 0.75)).square() + (b / one(0.48, 0.75)).square() < 1 + wavy
        long = (b.abs() < one(0.5, 0.75) + wavy) & (a < 0.2) & (self.sometimes(0.3, n) > 0)
        face = ((a + one(0.1, 0.3)) / one(0.6, 0.8)).square() + (b / one(0.4, 0.55)).square() < 1 + 3 * wavy
        hair = ((outer | long) & ~face).float() * self.sometimes(0.5, n)
        hair = F.avg_pool2d(hair, 3, 1, 1)
        fine = torch.randn(n, 1, DRAWN, DRAWN // 2, generator=self.g).repeat_interleave(2, 3)
        strands = 1 + one(0, 0.3) * F.avg_pool2d(fine, (9, 1), 1, (4, 0)) + one(0, 0.25) * self._field(n)
        tone = torch.tensor([1.0, 0.85, 0.7])[None, :, None, None] ** one(0, 2)
        colour = (one(-2.5, -0.3).exp() * tone * strands).clamp(0, 1)
        return picture * (1 - hair) + colour * hair, hair

    def _things(self, picture: Tensor, face: Tensor, where: Tensor) -> tuple[Tensor, Tensor]:
        """Colours and alpha of what is before the face, in most of the pictures."""
        n = len(picture)
        colours, alphas = torch.zeros_like(picture), torch.zeros(n, 1, DRAWN, DRAWN)
        skins = (picture * face).sum((2, 3)) / face.sum((2, 3)).clamp_min(1)
        for k in range(n):
            count = self.draw.choice(3, p=[0.4, 0.5, 0.1])
            marks = where[k].numpy() * DRAWN
            size = np.ptp(marks, axis=0).max()
            for _ in range(count):
                at = marks[self.draw.integers(len(marks))] + self.draw.normal(0, 0.12, 2) * size
                drawn = torch.from_numpy(thing(DRAWN, at, size * self.draw.uniform(0.2, 1.15), self.draw))
                alpha, shade = drawn[None, ..., 0], drawn[None, ..., 1]
                colours[k] = colours[k] * (1 - alpha) + self._paint(skins[k].numpy(), shade) * alpha
                alphas[k] = 1 - (1 - alphas[k]) * (1 - alpha)
        return colours / alphas.clamp_min(1e-3), alphas

    def _paint(self, skin: np.ndarray, shade: Tensor) -> Tensor:
        """(3, DRAWN, DRAWN) colours of a thing: often of a skin's colour, near to this one's or not."""
        kind = self.draw.random()
        if kind < 0.35:
            colour = skin * self.draw.uniform(0.6, 1.5) * self.draw.uniform(0.93, 1.07, 3)
        elif kind < 0.65:
            colour = np.array([0.75, 0.55, 0.45]) ** self.draw.uniform(0.8, 1.6) * self.draw.uniform(0.35, 1.3)
        else:
            colour = self.draw.uniform(0, 1, 3)
        out = torch.from_numpy(colour.astype(np.float32))[:, None, None] * shade
        photograph = self.backgrounds[self.draw.integers(BACKGROUNDS)]
        if kind > 0.88:
            out = photograph * float(self.draw.uniform(0.5, 1.3)) * shade
        elif self.draw.random() < 0.5:
            slope = self.draw.normal(0, 0.2, 2)
            out = out * (1 + float(slope[0]) * self.x[0] + float(slope[1]) * self.y[0])
            out = out * (1 + float(self.draw.uniform(0, 0.5)) * (photograph.mean(0, keepdim=True) - 0.5))
        return out.clamp(0, 1)

    def _level(self, pictures: Tensor) -> Tensor:
        """Resolution, blur, noise and JPEG of a camera, then the level of an observation."""
        levels = []
        for p in (pictures.clamp(0, 1) * 255).permute(0, 2, 3, 1).contiguous().numpy():
            native = math.exp(self.draw.uniform(math.log(40), math.log(600)))  # px, of the square
            size = min(DRAWN, round(native))
            seen = p if size == DRAWN else cv2.resize(p, (size, size), interpolation=cv2.INTER_AREA)
            seen = cv2.GaussianBlur(seen, (0, 0), self.draw.uniform(0.25, 0.9 * size / native + 0.3))
            seen = seen + self.draw.standard_normal(seen.shape, np.float32) * self.draw.uniform(0, 6) * size / native
            seen = seen.clip(0, 255).astype(np.uint8)
            if self.draw.random() < 0.7:
                quality = [cv2.IMWRITE_JPEG_QUALITY, int(self.draw.uniform(60, 99))]
                seen = cv2.imdecode(cv2.imencode(".jpg", seen, quality)[1], cv2.IMREAD_COLOR)
            if size < DRAWN:
                seen = cv2.resize(seen, (DRAWN, DRAWN), interpolation=cv2.INTER_LINEAR)
            levels.append(level_picture(seen, SIZE))
        return torch.from_numpy(np.stack(levels)).permute(0, 3, 1, 2)
