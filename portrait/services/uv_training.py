"""``portrait uv-train``: a training set from clips, images and people who don't exist; the training; the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from facemodel import PortraitError
from foundation.progress import Report, ignore
from geometry.color import to_uint8
from neural_render.training import make_fabric, resume, run
from neural_render.uv_gan.filling import blend_weight, mirror_fill
from neural_render.uv_gan.samples import MASK_SIZE, TextureSet, face_middle, seen_from, synthetic_set
from neural_render.uv_gan.settings import Settings
from neural_render.uv_gan.trainer import UVTrainer, check_losses
from neural_render.uv_gan.weights import CompletionHeader, CompletionWeights
from portrait.batch.clips import VIDEO_SUFFIXES
from portrait.files import VERSION
from portrait.services.checks import MOST, check_number, check_output
from portrait.services.events import Notes, named
from portrait.services.fitting import fit_clip, work_folder
from portrait.services.setup import Setup
from portrait.services.uv import choose_frame, merged
from portrait.video import open_frames
from portrait.video.images import IMAGE_SUFFIXES
from portrait.video.source import file_hash
from renderer import Camera, linear_to_srgb, main_island
from synthetic import RandomShots
from synthetic.performance import head_turn

FACE = 7 / 8  # of the atlas' height: below are eyeballs, teeth and tongue
SIZES = (64, 128, 256, 512)
LONGEST = 1e6  # minutes


@dataclass(frozen=True)
class RealPeople:
    """What is learnt from real people."""

    least_seen: float = 0.2  # share of the skin that has to be seen for a texture to be of use
    known: float = 0.5  # weight from which on a texel counts as seen
    masks: int = 8  # of each person, at yaws of its own


@dataclass(frozen=True)
class UVTrainingOptions:
    """What is trained on, and how."""

    folder: Path | None = None  # clips and images, one person a file
    synthetic: int = 0  # people who don't exist
    minutes: float = 30.0
    size: int = 128  # texels a side
    width: int = 32  # channels of the network's first layer
    losses: Mapping[str, float] = field(default_factory=dict)  # weights by name, in place of the usual ones
    identity: Path | None = None  # weights of an embedding, for the loss "identity"
    seed: int = 0

    def check(self) -> None:
        """Raises PortraitError for what can't be trained with."""
        check_number("minutes", self.minutes, 0, LONGEST, above=True)
        check_number("width", self.width, 4, 256)
        if self.size not in SIZES:
            raise PortraitError(f"--size: expected 64, 128, 256 or 512 texels, got {self.size}")
        check_number("synthetic", self.synthetic, 0, 100_000, unit=" people")
        check_number("seed", self.seed, 0, MOST)
        check_losses(self.losses)
        if self.losses.get("identity") and self.identity is None:
            raise PortraitError("--loss identity: needs --identity with weights that 'portrait recognize train' wrote")
        if self.folder is None and not self.synthetic:
            raise PortraitError("nothing to train on: give a FOLDER of clips and images, or --synthetic 2000")

    def files(self) -> list[Path]:
        """The folder's clips and images. Raises PortraitError where there are none."""
        if self.folder is None:
            return []
        if not self.folder.is_dir():
            raise PortraitError(f"folder '{self.folder}': no such folder; expected one with clips and images in it")
        wanted = VIDEO_SUFFIXES | IMAGE_SUFFIXES
        everything = (p for p in self.folder.rglob("*") if p.is_file() and not p.name.startswith("."))
        files = sorted(p for p in everything if p.suffix.lower() in wanted)
        if not files:
            raise PortraitError(
                f"folder '{self.folder}': holds no clips and no images; add some, or train on --synthetic 2000"
            )
        return files


@dataclass(frozen=True)
class TrainedCompletion:
    """Weights that complete textures."""

    weights: Path
    steps: int  # earlier runs included
    seconds: float
    textures: int
    people: int
    size: int
    losses: Mapping[str, float]  # of the last steps
    score: float | None  # L1 in holes of people kept out, of a range of 2
    left_out: tuple[str, ...] = ()  # files, and why
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """What there is to say of it."""
        parts = [f"{k} {v:.3f}" for k, v in self.losses.items()]
        if self.score is not None:
            parts.append(f"L1 in holes of people kept out {self.score:.4f}, of a range of 2")
        spent = f"{self.steps} steps in {self.seconds / 60:.1f} minutes"
        of = f"{self.textures} textures of {self.people} people, {self.size} texels"
        return [f"{self.weights}: {spent}, {of}", "  " + ", ".join(parts)]


def train_uv(
    output: Path, options: UVTrainingOptions, *, setup: Setup = Setup(), report: Report = ignore
) -> TrainedCompletion:
    """Trains and writes the weights; goes on from what an earlier run left in OUTPUT.work."""
    options.check()
    check_output(output, options.folder, options.identity)
    files, setup = options.files(), setup.started()
    model, work, device = setup.face_model("cpu"), work_folder(output), setup.device
    model.require("symmetric atlas", "completing textures")
    notes, base = Notes(report), Settings()
    settings = Settings(
        size=options.size, width=options.width, losses={**base.losses, **options.losses}, seed=options.seed
    )
    data, left_out = training_set(model, files, options, work, setup, notes, report)
    people = len(data.people.unique())
    settings = with_held_out(settings, people)
    fabric = make_fabric(device)
    trainer = UVTrainer(settings, data, device, embed=load_embedding(options.identity, device), fabric=fabric)
    checkpoint, belongs = work / "checkpoint.safetensors", {"data": data.name}
    resume(trainer, checkpoint, belongs)
    tell = named(report, output.name)
    done = run(trainer, checkpoint, seconds=60 * options.minutes, identity=belongs, report=tell, logs=work)
    header = CompletionHeader(
        model=model.name, fingerprint=model.fingerprint, size=options.size, width=options.width, norm=settings.norm,
        steps=trainer.step, seconds=round(trainer.seconds, 2), textures=len(trainer.trained_on), people=people,
        synthetic=options.synthetic,
    )  # fmt: skip
    CompletionWeights(header, trainer.averages["generator"].state_dict()).save(output)
    if done.note:
        notes.add(done.note)
    return TrainedCompletion(
        output, trainer.step, trainer.seconds, len(data), people, options.size, done.losses,
        min((s for _, s in trainer.scores), default=None), left_out, tuple(notes),
    )  # fmt: skip


def with_held_out(settings: Settings, people: int) -> Settings:
    """One person in twenty is kept out where that leaves someone to score by."""
    return replace(settings, held_out=0.05 if people >= 20 else 0.0)


def training_set(
    model, files: list[Path], options: UVTrainingOptions, work: Path, setup: Setup, notes: Notes, report: Report
) -> tuple[TextureSet, tuple[str, ...]]:
    """The whole set, kept in ``work`` and read from there where it was made of the same; and files left out of it."""
    hashes = [[p.name, file_hash(p)] for p in files]
    facts = {"files": hashes, "synthetic": options.synthetic, "size": options.size, "seed": options.seed}
    facts |= {"version": VERSION, "model": model.fingerprint}
    path = work / "textures.safetensors"
    if (kept := TextureSet.load(path, facts)) is not None:
        return kept, ()
    parts, left_out = [], []
    if files:
        parts.append(real_set(model, files, options, work, setup, notes, left_out, report))
    if options.synthetic:
        parts.append(synthetic_set(model, options.synthetic, options.size, seed=options.seed, report=report))
    data = TextureSet.join(parts)
    data.save(path, facts)
    return data, tuple(left_out)


def real_set(
    model, files: list[Path], options: UVTrainingOptions, work: Path, setup: Setup, notes: Notes, left_out: list[str],
    report: Report, policy: RealPeople = RealPeople(),
) -> TextureSet:  # fmt: skip
    """A texture a file, of all frames together; a file is a person. What shows too little of a face is left out."""
    size = options.size
    island, rows = main_island(model, size), []
    for k, file in enumerate(files):
        try:
            place = work / "tracks" / f"{k:04d}-{file.stem}"
            of = named(report, f"{k + 1} of {len(files)}")
            track = fit_clip(file, place, setup=setup, report=of, replace_own=True).track
            skin = merged(model, track, open_frames(file), choose_frame(track, None), size, of)
        except PortraitError as error:
            left_out.append(f"{file.name}: {error}")
            continue
        weight = blend_weight(skin.confidence, island)
        known = weight > policy.known
        if float(known[island].float().mean()) < policy.least_seen:
            left_out.append(f"{file.name}: shows less than {100 * policy.least_seen:.0f} % of the skin")
            continue
        lit = mirror_fill(skin.delit * skin.light, weight, skin.albedo * skin.light)
        rows.append((to_uint8(linear_to_srgb(lit)), known, skin.parameters))
    for line in left_out:
        notes.add(f"left out: {line}")
    if not rows:
        raise PortraitError("training set: none of the files shows enough of a face; add others, or --synthetic 2000")
    textures, known, people = zip(*rows)
    draw = np.random.default_rng([options.seed, 9])
    shots = [turned_mask(model, p, size, island, draw) for p in people for _ in range(policy.masks)]
    masks, yaws = zip(*shots)
    return TextureSet(
        torch.stack(textures), torch.stack(known) & island, torch.arange(len(rows)), torch.stack(masks),
        torch.tensor(yaws), island, face_middle(model),
    )  # fmt: skip


def turned_mask(model, parameters, size: int, island, draw: np.random.Generator) -> tuple[torch.Tensor, float]:
    """What is seen of a fitted head turned by chance: (S, S) uint8, and its yaw in degrees."""
    shot = RandomShots(pitch=25.0).shot(draw)
    focal = shot.focal * MASK_SIZE
    p = parameters.replace(
        rotation=head_turn(shot.yaw, shot.pitch, shot.roll),
        translation=torch.tensor([0.0, -20.0, shot.focal * 300.0]),
    )
    return to_uint8(seen_from(model, p, Camera(focal, MASK_SIZE, MASK_SIZE), size, island)), shot.yaw


def load_embedding(identity: Path | None, device: str):
    """An embedding as the trainer takes it: textures in [-1, 1] to features; None for none."""
    if identity is None:
        return None
    from recognition.model import load_embedder

    embedder, _ = load_embedder(identity, device)
    embedder.requires_grad_(False)
    s = embedder.settings

    def embed(textures: torch.Tensor) -> torch.Tensor:
        face = textures[..., : round(FACE * textures.shape[-1]), :] * (127.5 / 128)  # as recognition scales pictures
        small = torch.nn.functional.interpolate(face, (s.height, s.width_px), mode="bilinear", antialias=True)
        return embedder(small, small.new_zeros(len(small)))

    return embed
