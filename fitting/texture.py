"""Textures of a fitted face: what a frame shows of the skin, how far it is to be trusted, and many frames in one.

A texture is linear RGB over the model's atlas. Each frame is divided by its own fitted light before frames are
joined, so that light that stays in the room while the head turns leaves no seams.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import torch
from torch import Tensor

from foundation.errors import PortraitError
from renderer import Camera, Sight, View, atlas_light, atlas_values, srgb_to_linear, surface_points, unwrap_view


@dataclass(frozen=True)
class TexturePolicy:
    """What of a frame is trusted. Shares are of the atlas' side."""

    grazing: float = 80.0  # degrees between normal and line of sight, beyond which nothing counts as seen
    light: tuple[float, float] = (0.3, 2.0)  # of the median light: a fit says little of it on what isn't seen
    feather: float = 0.012  # over so much confidence rises from a border of what is seen
    detail: float = 0.02  # what differs from the model over less is the person's own skin
    occluded: float = 2.5  # standard deviations of the residual beyond which the model isn't what is seen there
    tolerated: float = 0.35  # the least such residual taken for an occluder, as a difference of logarithms
    outline: float = 18.0  # mm from the fitted outline in which the true one may be
    edge: float = 0.005  # over which colours are averaged to tell head from background
    mixed: float = 0.02  # over which what is told so is smoothed: pixels on the true outline show both


DEFAULT = TexturePolicy()


@dataclass(frozen=True)
class FrameTexture:
    """One frame's part of the atlas, (S, S, ...), row 0 at v = 1."""

    color: Tensor  # (S, S, 3) linear RGB as the frame has it, light included; zero where not seen
    visible: Tensor  # (S, S) bool: in the frame, facing the camera, not behind another part of the head
    confidence: Tensor  # (S, S) 0 to 1: how straight on, how sharp, how far from borders and from occluders
    light: Tensor  # (S, S, 3) linear RGB, the fitted light at each texel, kept within ``TexturePolicy.light``
    albedo: Tensor  # (S, S, 3) linear RGB, the fitted model's

    @property
    def delit(self) -> Tensor:
        """(S, S, 3) linear RGB: the texture without the fitted light."""
        return self.color / self.light


def frame_texture(model, parameters, picture: Tensor, size: int, policy: TexturePolicy = DEFAULT) -> FrameTexture:
    """Samples a frame.

    Args:
        parameters: FaceParameters of one frame, no leading dimensions.
        picture: (H, W, 3) uint8 sRGB, the frame that they were fitted to.
        size: texels a side.
    """
    p = parameters
    height, width = picture.shape[:2]
    points = surface_points(model, p)
    camera = Camera(float(p.focal), width, height)
    linear = srgb_to_linear(picture.float().to(points.device) / 255)
    view = unwrap_view(linear, points, model, camera, (size, size), Sight(grazing=policy.grazing))
    light = bounded(atlas_light(model, p, size), view.visible, policy)
    albedo = atlas_values(model, model.albedo(p.reflectance), size).clamp(0.003, 1)
    skin = within_outline(model, view, albedo * light, policy)
    face = unoccluded(view.texture, albedo * light, view.visible, policy)
    return FrameTexture(view.texture, view.visible, sight(model, view, skin > 0.5, policy) * face * skin, light, albedo)


def sight(model, view: View, skin: Tensor | None = None, policy: TexturePolicy = DEFAULT) -> Tensor:
    """(S, S) 0 to 1: how well geometry alone lets a view be trusted; zero on the neck, which clothes hide.

    The squared cosine of the angle between normal and line of sight, less towards the borders of what is seen, or of
    what of it is ``skin`` (S, S) bool.
    """
    seen = view.visible if skin is None else view.visible & skin
    neck = atlas_values(model, model.region("neck").float()[:, None], len(view.visible))[..., 0]
    return view.cosine.clamp(0, 1) ** 2 * away_from_borders(seen, policy.feather) * (1 - neck)


def within_outline(model, view: View, expected: Tensor, policy: TexturePolicy = DEFAULT) -> Tensor:
    """(S, S) 0 to 1: how likely a texel shows the head rather than what is behind it; zero where not visible.

    A fit's outline is off by some mm, and pixels on the true one show both. So near the outline a colour has to speak
    for itself: whether it's nearer to ``expected`` (S, S, 3), as the logarithm of their ratio less its median, or to
    the picture beyond the outline. The nearer the outline, the likelier is the background beforehand; not on the
    scalp, whose hair goes on beyond the outline.
    """
    if not view.visible.any():
        return view.visible.float()
    log = lambda t: t.clamp_min(0.004).log()  # noqa: E731
    residual = log(view.texture) - log(expected)
    residual = residual - residual[view.visible].median(0).values
    other = log(view.texture) - log(view.beyond)
    gaps = torch.cat([residual, other, residual - other], -1)  # to the head, to what is beyond, between these two
    squares = blur(gaps, view.visible, policy.edge * len(view.visible)).unflatten(-1, (3, 3)).square().mean(-1)
    off, like, apart = squares.unbind(-1)
    std = max(1.4826 * float(off[view.visible].median().sqrt()), policy.tolerated / policy.occluded)
    std = min(std, policy.tolerated)
    # Either may have some other colour: brows and hair, the joints of a wall.
    likelihood = lambda squared: 0.97 * (-squared / (2 * std**2)).exp() / std + 0.03  # noqa: E731
    away = view.margin * view.cosine / view.scale.clamp_min(1e-6)  # mm
    scalp = atlas_values(model, model.region("scalp").float()[:, None], len(view.visible))[..., 0]
    behind = 0.5 * (1 - (away / policy.outline) ** 2).clamp_min(0) ** 2 * (1 - scalp)
    head, wall = (1 - behind) * likelihood(off), behind * likelihood(like)
    harm = wall / (head + wall) * (1 - (-apart / (2 * std**2)).exp())  # none where both look alike: neck, shoulders
    skin = view.visible * (1 - harm) * ((view.margin - 1) / 2).clamp(0, 1)  # a pixel or two show both anyway
    around = blur(skin[..., None], view.visible, policy.mixed * len(view.visible))[..., 0]
    return skin * (2 * around - 1).clamp(0, 1)


def bounded(light: Tensor, visible: Tensor, policy: TexturePolicy = DEFAULT) -> Tensor:
    """The light (S, S, 3) kept within ``policy.light`` times its median over the texels that are visible."""
    seen = light[visible] if visible.any() else light.flatten(0, 1)
    median = seen.median(0).values.clamp_min(0.05)
    return light.clamp(policy.light[0] * median, policy.light[1] * median)


def away_from_borders(visible: Tensor, feather: float = DEFAULT.feather) -> Tensor:
    """(S, S) 0 to 1: zero where not ``visible`` and right beside that, rising to one within ``feather`` of the side."""
    from scipy.ndimage import distance_transform_edt

    distance = torch.from_numpy(distance_transform_edt(visible.cpu().numpy())).to(visible.device)
    reach = max(feather * len(visible), 1.0)
    return ((distance - 0.5) / reach).clamp(0, 1).float()


def unoccluded(seen: Tensor, expected: Tensor, visible: Tensor, policy: TexturePolicy = DEFAULT) -> Tensor:
    """(S, S) 0 to 1: how likely the face itself is seen there, rather than hair, a hand or glasses.

    The residual is the logarithm of seen over expected (S, S, 3), less its median (an error of exposure isn't an
    occluder), blurred over ``policy.detail`` (a mole isn't one either). Against its own spread it is weighted as Geman
    and McClure have it (Bulletin of the ISI, 1987).
    """
    if not visible.any():
        return visible.float()
    residual = (seen.clamp_min(0.004) / expected.clamp_min(0.004)).log()
    residual = residual - residual[visible].median(0).values
    far = blur(residual, visible, policy.detail * len(visible)).square().mean(-1).sqrt()
    std = max(1.4826 * float(far[visible].median()), policy.tolerated / policy.occluded)
    return visible / (1 + (far / (policy.occluded * std)) ** 4)


def blur(values: Tensor, where: Tensor, sigma: float) -> Tensor:
    """(S, S, C): the mean of values (S, S, C) over ``where`` (S, S) alone, under a Gaussian of ``sigma`` texels."""
    stacked = torch.cat([values * where[..., None], where[..., None].to(values)], -1).cpu().numpy()
    side = 2 * max(int(3 * sigma), 1) + 1
    blurred = cv2.GaussianBlur(stacked, (side, side), sigma, borderType=cv2.BORDER_CONSTANT).reshape(stacked.shape)
    return torch.from_numpy(blurred[..., :-1] / blurred[..., -1:].clip(1e-6)).to(values)


class TextureMerger:
    """Joins frames of one person into one texture, without light: a mean weighted by confidence.

    Two passes over the same frames: ``add`` all, then ``refine`` all, which counts colours for less that differ from
    the first mean (what moved across the face, and what the fit had in the wrong place). Either pass alone needs
    memory for one frame. A frame's gain, a colour, is what takes it to the frames before it, or to the first mean; the
    result has the frames' own exposure in the mean.
    """

    def __init__(self, size: int) -> None:
        self.sum = torch.zeros(size, size, 3)
        self.weight = torch.zeros(size, size)
        self.mean: Tensor | None = None  # of the first pass
        self.frames = 0
        self.seen = torch.zeros(size, size, dtype=torch.bool)

    def add(self, frame: FrameTexture) -> None:
        """Counts a frame in the first pass."""
        delit, weight = frame.delit.cpu(), frame.confidence.cpu()
        before = self.sum / self.weight.clamp_min(1e-6)[..., None]
        gain = gain_between(delit, before, weight * (self.weight > 0.05)) if self.frames else torch.ones(3)
        self.sum += weight[..., None] * delit * gain
        self.weight += weight
        self.seen |= frame.visible.cpu()
        self.frames += 1

    def refine(self, frame: FrameTexture) -> None:
        """Counts a frame in the second pass, which begins with the first call."""
        if self.mean is None:
            self.mean = self.sum / self.weight.clamp_min(1e-6)[..., None]
            self.known = self.weight > 1e-3
            self.sum, self.weight = torch.zeros_like(self.sum), torch.zeros_like(self.weight)
            self.gains = torch.zeros(3)
        delit, weight = frame.delit.cpu(), frame.confidence.cpu() * self.known
        gain = gain_between(delit, self.mean, weight)
        self.gains += gain.log() / self.frames
        delit = delit * gain
        off = (delit.clamp_min(0.004) / self.mean.clamp_min(0.004)).log().abs().mean(-1)
        scale = 1.4826 * float(off[weight > 0.05].median()) if (weight > 0.05).any() else 1.0
        weight = weight / (1 + (off / max(2.5 * scale, 0.05)) ** 2) ** 2
        self.sum += weight[..., None] * delit
        self.weight += weight

    def result(self) -> tuple[Tensor, Tensor]:
        """Texture without light (S, S, 3) linear RGB, zero where nothing was seen; confidence (S, S) 0 to 1.

        PortraitError where no frame showed anything.
        """
        if not (self.weight > 1e-3).any():
            raise PortraitError("texture: no frame shows any of the face; check that the track belongs to the video")
        texture = self.sum / self.weight.clamp_min(1e-6)[..., None]
        if self.mean is not None:
            texture = texture / self.gains.exp()
        # Of one frame it is that frame's confidence; many half-seen ones make a whole.
        confidence = 1 - (-self.weight).exp() if self.frames > 1 else self.weight
        return texture * (self.weight > 1e-3)[..., None], confidence.clamp(0, 1)


def gain_between(texture: Tensor, reference: Tensor, weight: Tensor) -> Tensor:
    """(3,): what takes a texture to a reference, the median over where ``weight`` (S, S) is; ones where it's zero."""
    where = weight > 0.05 * float(weight.max())
    if not where.any():
        return torch.ones(3)
    ratio = reference[where].clamp_min(0.004).log() - texture[where].clamp_min(0.004).log()
    return ratio.median(0).values.exp().clamp(0.25, 4.0)
