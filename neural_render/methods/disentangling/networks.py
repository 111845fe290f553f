"""Two deforming autoencoders and a generator: pictures to an embedded face, a frame to flows, both to a picture."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neural_render.networks import SPADE, warp
from neural_render.networks.blocks import Norm
from neural_render.networks.embedded_face import FaceEmbedder
from neural_render.networks.encoder_decoder import Decoder, Encoder, doubled

POSE = 128  # numbers between the pose embedder's encoder and its decoder
SCALES = 4  # sizes of flows: S / 8, S / 4, S / 2, S


class PoseEmbedder(nn.Module):
    """An embedded face and a frame (N, 3, S, S) to a code (N, 128), and that to the pose's flows at four sizes.

    The encoder sees both pictures, so that the code needn't say what the face is, only how it's deformed. Each size
    adds to the flow of the size before; there are no skips by which a frame could pass the code.
    """

    def __init__(self, size: int, width: int, norm: Norm = "batch") -> None:
        super().__init__()
        self.encoder = Encoder(6, size, width, POSE, norm)
        self.decoder = Decoder(2, size, width, POSE, skips=False, norm=norm)
        channels = [level[0].out_channels for level in self.decoder.up[1 - SCALES :]]
        self.to_flow = nn.ModuleList(nn.Conv2d(c, 2, 3, padding=1) for c in channels)
        for layer in self.to_flow:
            nn.init.normal_(layer.weight, std=1e-3)
            nn.init.zeros_(layer.bias)

    def code(self, face: Tensor, frame: Tensor) -> Tensor:
        return self.encoder(torch.cat([face, frame], 1))[0]

    def flows(self, code: Tensor) -> list[Tensor]:
        """(N, s, s, 2) as ``warp`` takes them, of S / 8, S / 4, S / 2 and S px."""
        levels = self.decoder.levels(code)
        total, found = None, []
        for level, layer in zip(levels[1 - SCALES :], self.to_flow):
            own = layer(F.relu(level)).float()
            total = own if total is None else doubled(total) + own
            found.append(total)
        found.append(doubled(total) + self.decoder.maps(levels[-1]).float())
        return [torch.tanh(flow).movedim(1, -1) for flow in found]


class Fusion(nn.Module):
    """A residual block at twice the size, (N, a, s, s) -> (N, b, 2s, 2s), normalised under a map of that size."""

    def __init__(self, inputs: int, outputs: int, labels: int, hidden: int) -> None:
        super().__init__()
        self.modulate = SPADE(outputs, labels, hidden)
        self.narrow = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.refine = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        x = doubled(F.leaky_relu(x, 0.2))
        return self.shortcut(x) + self.refine(F.leaky_relu(self.modulate(self.narrow(x), labels), 0.2))


class FusingGenerator(nn.Module):
    """An embedded face (N, 3, S, S) and flows at four sizes to a picture (N, 3, S, S) in [-1, 1].

    Features of the face at each size are warped by that size's flow; the coarsest is refined upwards, modulated by the
    finer ones (SPADE), to colours and to how far the warped face itself shows.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        channels = [width * k for k in (1, 2, 4, 8)]  # finest first
        self.encoder = nn.ModuleList(
            nn.Conv2d(a, b, 4 if k else 3, stride=2 if k else 1, padding=1)
            for k, (a, b) in enumerate(zip([3, *channels[:-1]], channels))
        )
        finer = list(reversed(channels[:-1]))
        self.fusion = nn.ModuleList(
            Fusion(a, b, labels=b + 3, hidden=width) for a, b in zip([channels[-1], *finer[:-1]], finer)
        )
        self.to_picture = nn.Conv2d(channels[0], 4, 3, padding=1)
        nn.init.normal_(self.to_picture.weight, std=1e-2)
        nn.init.zeros_(self.to_picture.bias)
        with torch.no_grad():
            self.to_picture.bias[3] = 2.0  # at first the warped face is shown

    def forward(self, face: Tensor, flows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The picture, and the face that was warped alone."""
        features, x = [], face
        for k, layer in enumerate(self.encoder):
            x = layer(F.leaky_relu(x, 0.2) if k else x)
            features.append(x)
        moved = [warp(f.float(), flow) for f, flow in zip(reversed(features), flows)]  # coarsest first
        warped = warp(face.float(), flows[-1])
        x = moved[0]
        for fuse, beside in zip(self.fusion, moved[1:]):
            shown = F.interpolate(warped, size=beside.shape[-2:], mode="area")
            x = fuse(x, torch.cat([beside, shown], 1))
        painted, share = self.to_picture(F.leaky_relu(x, 0.2)).float().split([3, 1], 1)
        return torch.lerp(torch.tanh(painted), warped, torch.sigmoid(share)), warped


class DeformingNetworks(nn.Module):
    """Both deforming autoencoders. Pictures are (..., 3, size, size) in [-1, 1]."""

    def __init__(self, size: int, width: int, norm: Norm = "batch") -> None:
        super().__init__()
        self.embedder = FaceEmbedder(size, width, norm, floor=0.0)
        self.pose = PoseEmbedder(size, width, norm)

    def forward(self, sources: Tensor, others: Tensor, frame: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Faces (N, 3, S, S) embedded of sources and of others (N, K, 3, S, S), as many pictures of the same people.

        And the flows that give the first face the pose of a frame (N, 3, S, S), which is told against the other one.
        """
        face, other = self.embedder(torch.cat([sources, others])).face.chunk(2)
        return face, other, self.pose.flows(self.pose.code(other, frame))


class DisentanglingNetworks(DeformingNetworks):
    """All three."""

    def __init__(self, size: int, width: int, norm: Norm = "batch") -> None:
        super().__init__(size, width, norm)
        self.generator = FusingGenerator(width)
