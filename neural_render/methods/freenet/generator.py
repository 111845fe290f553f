"""FReeNet's geometry-aware generator: a person's picture with other landmarks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neural_render.methods.common.carrying import carried
from neural_render.methods.common.contours import dots
from neural_render.networks import initialize_normal, make_norm

MARKS = 16  # channels of the encoded landmarks
NEAR = 0.1  # of half a crop, in which points lead what is around them
GIVEN_AT = (2, 5, 8)  # the blocks, of nine, that see them: the third, sixth and ninth


class GeometryBlock(nn.Module):
    """Two 3 x 3 convolutions beside a third; (N, inputs, H, W) -> (N, outputs, H, W)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()

        def convolution(a: int) -> list[nn.Module]:
            return [nn.ReflectionPad2d(1), nn.Conv2d(a, outputs, 3, bias=False), make_norm("instance", outputs)]

        self.body = nn.Sequential(*convolution(inputs), nn.ReLU(inplace=True), *convolution(outputs))
        self.beside = nn.Sequential(*convolution(inputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.beside(x)


class GeometryGenerator(nn.Module):
    """A reference (N, 3, S, S) in [-1, 1], its points (N, P, 2) and the wanted ones -> (N, 3, S, S) in [-1, 1].

    Zhang et al., CVPR 2020, Sec. 3.3: c7s1-64, d128, d256, nine blocks of which three see the landmarks, u128, u64,
    c7s1-3. Channels scale with ``width``, 64 in the paper. Where this departs from it: the reference is carried along
    with its points to the wanted ones before it is encoded, and the last layer says beside colours how much of that
    shows through; the paper's heads look into three cameras, and where they turn freely the blocks, which add to what
    lies at a place, have to paint all anew. And the landmarks are drawn at the picture's size and halved twice by their
    encoder, as at a quarter of 64 px the dots would run into one.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()

        def finish(channels: int) -> list[nn.Module]:
            return [make_norm("instance", channels), nn.ReLU(inplace=True)]

        encoder = [nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7, bias=False), *finish(width)]
        for a in (width, 2 * width):
            encoder += [nn.Conv2d(a, 2 * a, 3, stride=2, padding=1, bias=False), *finish(2 * a)]
        self.encoder = nn.Sequential(*encoder)
        marks: list[nn.Module] = []
        for a, b, stride in ((1, MARKS // 2, 2), (MARKS // 2, MARKS, 2), (MARKS, MARKS, 1)):
            marks += [nn.Conv2d(a, b, 3, stride=stride, padding=1), nn.ReLU(inplace=True)]
        self.marks = nn.Sequential(*marks)
        self.blocks = nn.ModuleList(
            GeometryBlock(4 * width + (MARKS if k in GIVEN_AT else 0), 4 * width) for k in range(9)
        )
        decoder: list[nn.Module] = []
        for a in (4 * width, 2 * width):
            up = nn.ConvTranspose2d(a, a // 2, 3, stride=2, padding=1, output_padding=1, bias=False)
            decoder += [up, *finish(a // 2)]
        decoder += [nn.ReflectionPad2d(3), nn.Conv2d(width, 4, 7)]
        self.decoder = nn.Sequential(*decoder)
        initialize_normal(self)

    def forward(self, reference: Tensor, own: Tensor, wanted: Tensor) -> Tensor:
        moved = carried(reference, own, wanted, NEAR)
        x, marks = self.encoder(moved), self.marks(dots(wanted, reference.shape[-1]))
        for k, block in enumerate(self.blocks):
            x = block(torch.cat([x, marks], 1) if k in GIVEN_AT else x)
        colours, shown = self.decoder(x).float().split([3, 1], 1)
        return torch.lerp(torch.tanh(colours), moved, torch.sigmoid(shown))
