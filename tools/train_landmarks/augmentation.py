"""What cameras, backgrounds and chance do to a synthetic face, a batch at a time."""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fitting.landmarks.network import SIZE
from synthetic.surroundings import photograph
from tools.train_landmarks.pictures import ROOM

BACKGROUNDS = 200


class Augmentation:
    """(N, S, S, 4) uint8 pictures and (N, L, 2) px points to (N, 3, SIZE, SIZE) in [0, 1] and points in [0, 1]."""

    def __init__(self, seed: int = 0) -> None:
        self.g = torch.Generator().manual_seed(seed)
        scenes = np.stack([photograph(self.g, SIZE) for _ in range(BACKGROUNDS)])
        self.backgrounds = torch.from_numpy(scenes).permute(0, 3, 1, 2).contiguous().float()

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=self.g)

    def sometimes(self, share: float, n: int) -> Tensor:
        return (torch.rand(n, generator=self.g) < share).float()[:, None, None, None]

    def __call__(self, pictures: np.ndarray, points: np.ndarray) -> tuple[Tensor, Tensor]:
        seen, where = self.square(pictures, points)
        out = self.before_background(seen, where)
        out = self._shadow(out)
        out = self._occluder(out, where)
        n = len(out)
        gain = self.uniform(0.6, 1.4, n, 1, 1, 1) * self.uniform(0.88, 1.12, n, 3, 1, 1)
        out = (out * gain).clamp(1e-4, 1) ** self.uniform(0.75, 1.35, n, 1, 1, 1)
        return self._camera(out), where

    def square(self, pictures: np.ndarray, points: np.ndarray) -> tuple[Tensor, Tensor]:
        """The square a network sees: turned, moved and scaled about the middle of what was drawn.

        (N, S, S, C) uint8 and (N, L, 2) px to (N, C, SIZE, SIZE) in [0, 1] and points in [0, 1].
        """
        n, side, channels = len(pictures), pictures.shape[1], pictures.shape[3]
        colour = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
        angle, scale = self.uniform(-0.2, 0.2, n), self.uniform(0.84, 1.16, n) / ROOM
        shift = self.uniform(-0.09, 0.09, n, 2)
        cos, sin = angle.cos() * scale, angle.sin() * scale
        affine = torch.stack([torch.stack([cos, -sin, shift[:, 0]], -1), torch.stack([sin, cos, shift[:, 1]], -1)], 1)
        grid = F.affine_grid(affine, [n, channels, SIZE, SIZE], align_corners=False)
        seen = F.grid_sample(colour, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        flat = torch.from_numpy(points) * (2 / side) - 1
        inverse = torch.linalg.inv(affine[:, :, :2])
        where = torch.einsum("nij,nlj->nli", inverse, flat - shift[:, None]) / 2 + 0.5
        return seen, where

    def before_background(self, seen: Tensor, where: Tensor) -> Tensor:
        """(N, 3, SIZE, SIZE): a photograph and a garment behind (N, 4 or more, SIZE, SIZE) colour and alpha."""
        n = len(seen)
        behind = self.backgrounds[torch.randint(BACKGROUNDS, (n,), generator=self.g)]
        behind = (behind * self.uniform(0.3, 1.3, n, 1, 1, 1)).clamp(0, 1)
        return seen[:, :3] + (1 - seen[:, 3:4]) * self._garment(behind, where)

    def _garment(self, behind: Tensor, where: Tensor) -> Tensor:
        """A plain ellipse below the face, for most."""
        n = len(behind)
        y, x = torch.meshgrid(*[(torch.arange(SIZE) + 0.5) / SIZE] * 2, indexing="ij")
        middle = where.mean(1)
        cx = (middle[:, 0] + self.uniform(-0.1, 0.1, n))[:, None, None]
        cy = (middle[:, 1] + self.uniform(0.9, 1.2, n))[:, None, None]
        inside = ((x - cx) / self.uniform(0.5, 0.9, n, 1, 1)) ** 2 + ((y - cy) / self.uniform(0.45, 0.7, n, 1, 1)) ** 2
        alpha = (inside < 1).float()[:, None] * self.sometimes(0.8, n)
        return behind * (1 - alpha) + self.uniform(0, 0.8, n, 3, 1, 1) * alpha

    def _shadow(self, picture: Tensor) -> Tensor:
        n = len(picture)
        ramp = torch.linspace(-1, 1, SIZE)
        angle = self.uniform(0, 6.2832, n)[:, None, None]
        edge = ramp[None, None] * angle.cos() + ramp[None, :, None] * angle.sin() - self.uniform(-0.3, 0.3, n, 1, 1)
        dark = self.uniform(0.2, 0.9, n, 1, 1)
        light = dark + (1 - dark) * (edge / self.uniform(0.01, 0.15, n, 1, 1)).sigmoid()
        share = self.sometimes(0.25, n)
        return picture * (1 - share + share * light[:, None] ** (1 / 2.2))

    def _occluder(self, picture: Tensor, where: Tensor) -> Tensor:
        """A hand or a thing before the face, of one colour: a few thick lines and an ellipse."""
        out = picture.clone()
        for k in torch.nonzero(torch.rand(len(picture), generator=self.g) < 0.25).flatten().tolist():
            mask = np.zeros((SIZE, SIZE), np.float32)
            centre = (where[k].mean(0) + self.uniform(-0.3, 0.3, 2)).numpy() * SIZE
            axes = self.uniform(0.06, 0.2, 2).numpy() * SIZE
            turn = float(self.uniform(0, 180))
            cv2.ellipse(mask, tuple(map(int, centre)), tuple(map(int, axes)), turn, 0, 360, 1.0, -1, cv2.LINE_AA)
            for _ in range(int(self.uniform(0, 5))):
                end = centre + self.uniform(-0.35, 0.35, 2).numpy() * SIZE
                thick = int(self.uniform(4, 12))
                cv2.line(mask, tuple(map(int, centre)), tuple(map(int, end)), 1.0, thick, cv2.LINE_AA)
            alpha = torch.from_numpy(mask)
            out[k] = out[k] * (1 - alpha) + self.uniform(0, 0.9, 3, 1, 1) * alpha
        return out

    def _camera(self, picture: Tensor) -> Tensor:
        """Lost resolution, blur, noise, JPEG."""
        out = np.ascontiguousarray((picture.clamp(0, 1) * 255).permute(0, 2, 3, 1).numpy())
        draw = np.random.default_rng(int(torch.randint(2**31, (), generator=self.g)))
        for k in range(len(out)):
            if draw.random() < 0.2:
                small = int(draw.uniform(32, SIZE))
                out[k] = cv2.resize(cv2.resize(out[k], (small, small), interpolation=cv2.INTER_AREA), (SIZE, SIZE))
            elif draw.random() < 0.5:
                out[k] = cv2.GaussianBlur(out[k], (0, 0), draw.uniform(0.3, 1.4))
            out[k] += draw.standard_normal(out[k].shape, np.float32) * draw.uniform(0, 5)
            if draw.random() < 0.5:
                quality = [cv2.IMWRITE_JPEG_QUALITY, int(draw.uniform(50, 97))]
                _, code = cv2.imencode(".jpg", out[k].clip(0, 255).astype(np.uint8), quality)
                out[k] = cv2.imdecode(code, cv2.IMREAD_COLOR)
        return torch.from_numpy(out.clip(0, 255)).permute(0, 3, 1, 2) / 255
