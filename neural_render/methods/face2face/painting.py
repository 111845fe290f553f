"""One frame after the other: a frame of the clip moved, with parts of other frames, in the wanted light."""

from __future__ import annotations

import cv2
import numpy as np
from torch import Tensor

from facemodel.parameters import FaceParameters
from neural_render.methods.face2face import kernels, layers, retrieval
from neural_render.methods.face2face.layers import Head, Patch, Source, Surface
from neural_render.methods.face2face.morphing import morph
from neural_render.methods.face2face.person import Person
from neural_render.methods.face2face.retrieval import Shares
from neural_render.methods.face2face.settings import Policy


class Painter:
    """Makes one frame after the other."""

    def __init__(self, person: Person) -> None:
        self.person = person

    def __call__(
        self,
        wanted: FaceParameters,
        vertices: Tensor,
        mine: Source | None,
        base: Shares,
        parts: list[Shares],
        drawn: list[float],
    ) -> np.ndarray:
        """(H, W, 3) uint8.

        wanted: as it is drawn, no leading dimensions. vertices: (V, 3) mm, model frame, of that. mine: what `OWN`
        stands for, needed where ``base`` has it. base, parts: where the frame and each part are from; a part of no
        shares stays as it is. drawn: as in `Plan`, a part.
        """
        person, policy = self.person, self.person.policy
        kept = lambda state: person.source(state - 1)  # noqa: E731
        shares = [(mine if state == retrieval.OWN else kept(state), share) for state, share in base]
        surface = Surface.of(person.model, wanted, vertices, person.camera, person.marks, policy)
        head = Head(surface, near=all(surface.in_place(source) for source, _ in shares))
        out, share = self._moved(head, shares[0][0]), shares[0][1]
        if len(shares) > 1:
            out = morph(self._moved(head, shares[1][0]), out, share)
        for number, part in enumerate(policy.parts):
            patch = Patch(surface, number)
            around, layer, cover = out[patch.window].astype(np.float32), 0.0, 0.0
            for state, share in parts[number]:
                if state == retrieval.OWN and not part.follows:
                    continue
                taken, alpha = patch.of_source(shares[0][0] if state == retrieval.OWN else kept(state))
                taken = harmonised(taken, around, alpha, policy)
                layer, cover = layer + share * alpha[..., None] * taken, cover + share * alpha
            if np.ndim(cover):
                around = around * (1 - cover[..., None]) + layer
            if drawn[number] > 0:
                around = opened(patch, around, drawn[number])
            if np.ndim(cover) or drawn[number] > 0:
                out[patch.window] = np.clip(around + 0.5, 0, 255).astype(np.uint8)
        return out

    def _moved(self, head: Head, source: Source) -> np.ndarray:
        """(H, W, 3) uint8: a source's frame with its person moved before what is behind them."""
        motion, ratio, missing = head.motion(source)
        out, ratio = source.picture.copy(), head.full(ratio)
        window = out[head.window]
        if head.surface.in_place(source):
            kernels.lit(head.sampled(source.picture, motion), ratio, window)
        else:
            layered = self.person.layered(source)
            kernels.lit_over(head.sampled(layered.person, motion), ratio, layered.behind[head.window], window)
        if missing.max(initial=0) > self.person.policy.unseen:
            textured(head, window, missing, self.person.texture)
        return out


def textured(head: Head, picture: np.ndarray, missing: np.ndarray, texture: np.ndarray) -> None:
    """Puts the person's texture into a picture (h, w, 3) uint8 where it's ``missing`` (h', w') the skin."""
    missing, inside, inner = head.full(missing), head.full(head.head), head.full(head.within(head.policy.rim)[..., 0])
    policy = head.policy
    if not (missing > policy.unseen).any():  # at the size that it was drawn in there was a speck
        return
    near = head.around(missing > policy.unseen, 0.1 * head.surface.height)
    missing, inside, inner, skin = missing[near], inside[near], inner[near], head.textured(texture)[near]
    made = picture[near].astype(np.float32)
    known = (missing < 0.1) & (inner > 0.9)  # what is nearer to the outline may be the wall behind
    skin = skin + np.clip(layers.filled(made - skin, known), -policy.tone, policy.tone)
    made += (missing * inside)[..., None] * (skin - made)
    picture[near] = np.clip(made + 0.5, 0, 255).astype(np.uint8)


def opened(patch: Patch, made: np.ndarray, share: float) -> np.ndarray:
    """The model's own inside of the mouth over a picture (h, w, 3), darker as it lies deep."""
    surface = patch.surface
    colors = patch.model.albedo(surface.parameters.reflectance).numpy() * surface.light * surface.policy.depth
    inside = cv2.GaussianBlur(patch.full(patch.inside), (0, 0), 1.0)
    drawn = cv2.GaussianBlur(patch.encoded(patch.of(colors)), (0, 0), 0.8)  # teeth have no edge of pixels
    return made + share * inside[..., None] * (drawn - made)


def harmonised(picture: np.ndarray, around: np.ndarray, alpha: np.ndarray, policy: Policy) -> np.ndarray:
    """A picture whose colours at the border of its alpha are those around it; the offset is smooth inside.

    Gradients stay as they are, as in Poisson blending (Perez et al., SIGGRAPH 2003), whose membrane this is.
    """
    ring = (alpha > policy.ring[0]) & (alpha < policy.ring[1])
    return picture + np.clip(layers.filled(around - picture, ring), -policy.offset, policy.offset)
