"""``portrait uv-train``: a training set from clips, images and people who don't exist; the training; the weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from facemodel import PortraitError
from neural_render.training import make_fabric, resume, run
from neural_render.uv_gan.filling import blend_weight, mirror_fill
from neural_render.uv_gan.samples import MASK_SIZE, TextureSet, seen_from, synthetic_set
from neural_render.uv_gan.settings import Settings
from neural_render.uv_gan.trainer import UVTrainer, check_losses
from neural_render.uv_gan.weights import CompletionHeader, CompletionWeights
from portrait.batch.clips import VIDEO_SUFFIXES
from portrait.files import VERSION, file_hash
from portrait.progress import Progress, say
from portrait.quiet import quiet_native_stderr
from portrait.services.fitting import fit_clip
from portrait.services.uv import choose_frame, merged
from portrait.tracks import default_model, pick_device
from portrait.video import open_frames
from portrait.video.images import IMAGE_SUFFIXES
from portrait.video.writer import check_writable
from renderer import Camera, linear_to_srgb, main_island
from synthetic import RandomShots
from synthetic.performance import head_turn

MASKS = 8  # of each real person, at yaws of its own
FACE = 7 / 8  # of the chart's height: below are eyeballs, teeth and tongue
LEAST = 0.2  # share of the skin that has to be seen for a texture to be of use


def train_uv(
    folder: Path | None, output: Path, *, synthetic: int, minutes: float, size: int, width: int,
    losses: dict[str, float], identity: Path | None, seed: int, device: str,
) -> None:  # fmt: skip
    """Trains and writes the weights; goes on from what an earlier run left in OUTPUT.work."""
    files = check(folder, output, synthetic, minutes, size, width, losses, identity)
    device = pick_device(device)
    model, work = default_model(), output.with_name(output.name + ".work")
    base = Settings()
    settings = Settings(size=size, width=width, losses={**base.losses, **losses}, seed=seed)
    with Progress() as progress:
        data = training_set(model, files, synthetic, size, seed, work, progress, device)
        people = len(data.people.unique())
        settings = with_held_out(settings, people)
        fabric = make_fabric(device)
        trainer = UVTrainer(settings, data, device, embed=load_embedding(identity, device), fabric=fabric)
        checkpoint, belongs = work / "checkpoint.safetensors", {"data": data.name}
        resume(trainer, checkpoint, belongs)
        show = lambda e: progress.update(e.done, e.total, f"{output.name}: {e.stage}", e.note)  # noqa: E731
        done = run(trainer, checkpoint, seconds=60 * minutes, identity=belongs, report=show, logs=work)
    header = CompletionHeader(
        model=model.name, fingerprint=model.fingerprint, size=size, width=width, norm=settings.norm,
        steps=trainer.step, seconds=round(trainer.seconds, 2), textures=len(trainer.trained_on), people=people,
        synthetic=synthetic,
    )  # fmt: skip
    CompletionWeights(header, trainer.averages["generator"].state_dict()).save(output)
    parts = [f"{k} {v:.3f}" for k, v in done.losses.items()]
    if trainer.scores:
        parts.append(f"L1 in holes of people kept out {min(s for _, s in trainer.scores):.4f}, of a range of 2")
    spent = f"{trainer.step} steps in {trainer.seconds / 60:.1f} minutes"
    say(f"{output}: {spent}, {len(data)} textures of {people} people, {size} texels")
    say("  " + ", ".join(parts))


def with_held_out(settings: Settings, people: int) -> Settings:
    """One person in twenty is kept out where that leaves someone to score by."""
    from dataclasses import replace

    return replace(settings, held_out=0.05 if people >= 20 else 0.0)


def check(
    folder: Path | None, output: Path, synthetic: int, minutes: float, size: int, width: int,
    losses: dict[str, float], identity: Path | None,
) -> list[Path]:  # fmt: skip
    """The folder's clips and images. PortraitError for what can't be trained with."""
    if size not in (64, 128, 256, 512):
        raise PortraitError(f"--size: expected 64, 128, 256 or 512 texels, got {size}")
    if minutes <= 0 or not 4 <= width <= 256:
        raise PortraitError(f"--minutes and --width: expected more than 0 and 4 to 256, got {minutes} and {width}")
    if not 0 <= synthetic <= 100_000:
        raise PortraitError(f"--synthetic: expected 0 to 100000 people, got {synthetic}")
    check_losses(losses)
    if losses.get("identity") and identity is None:
        raise PortraitError("--loss identity: needs --identity with weights that 'portrait recognize train' wrote")
    if output.is_dir():
        raise PortraitError(f"weights '{output}': expected a file name, found a folder; give a name inside it")
    check_writable(output)
    if folder is None:
        if not synthetic:
            raise PortraitError("nothing to train on: give a FOLDER of clips and images, or --synthetic 2000")
        return []
    if not folder.is_dir():
        raise PortraitError(f"folder '{folder}': no such folder; expected one with clips and images in it")
    wanted = VIDEO_SUFFIXES | IMAGE_SUFFIXES
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in wanted and p.is_file())
    if not files:
        raise PortraitError(f"folder '{folder}': holds no clips and no images; add some, or train on --synthetic 2000")
    return files


def training_set(
    model, files: list[Path], synthetic: int, size: int, seed: int, work: Path, progress: Progress, device: str
) -> TextureSet:
    """The whole set; kept in ``work`` and read from there where it was made of the same files and numbers."""
    hashes = [[p.name, file_hash(p)] for p in files]
    facts = {"files": hashes, "synthetic": synthetic, "size": size, "seed": seed, "version": VERSION}
    facts["model"] = model.fingerprint
    path = work / "textures.safetensors"
    if (kept := TextureSet.load(path, facts)) is not None:
        return kept
    parts = []
    if files:
        parts.append(real_set(model, files, size, seed, work, progress, device))
    if synthetic:
        show = lambda e: progress.update(e.done, e.total, e.stage)  # noqa: E731
        parts.append(synthetic_set(model, synthetic, size, seed=seed, report=show))
    data = TextureSet.join([p for p in parts if p is not None])
    data.save(path, facts)
    return data


def real_set(model, files: list[Path], size: int, seed: int, work: Path, progress: Progress, device: str) -> TextureSet:
    """A texture a file, of all frames together; a file is a person. What shows too little of a face is left out."""
    island, rows, left_out = main_island(model, size), [], []
    for k, file in enumerate(files):
        try:
            with quiet_native_stderr():
                title = f"{file.name} ({k + 1} of {len(files)})"
                report = lambda done, total, stage, title=title: progress.update(done, total, f"{title}: {stage}")  # noqa: E731
                place = work / "tracks" / f"{k:04d}-{file.stem}"
                track = fit_clip(file, place, model=model, device=device, report=report, replace=True).track
            skin = merged(model, track, open_frames(file), choose_frame(track, None), size, progress)
        except PortraitError as error:
            left_out.append(f"{file.name}: {error}")
            continue
        weight = blend_weight(skin.confidence, island)
        if float((weight > 0.5)[island].float().mean()) < LEAST:
            left_out.append(f"{file.name}: shows less than {100 * LEAST:.0f} % of the skin")
            continue
        lit = mirror_fill(skin.delit * skin.light, weight, skin.albedo * skin.light)
        rows.append((to_bytes(linear_to_srgb(lit.clamp(0, 1))), weight > 0.5, skin.parameters))
    for line in left_out:
        say(f"  left out: {line}")
    if not rows:
        raise PortraitError("training set: none of the files shows enough of a face; add others, or --synthetic 2000")
    textures, known, people = zip(*rows)
    draw = np.random.default_rng([seed, 9])
    shots = [turned_mask(model, p, size, island, draw) for p in people for _ in range(MASKS)]
    masks, yaws = zip(*shots)
    return TextureSet(
        torch.stack(textures), torch.stack(known) & island, torch.arange(len(rows)), torch.stack(masks),
        torch.tensor(yaws), island,
    )  # fmt: skip


def turned_mask(model, parameters, size: int, island, draw: np.random.Generator) -> tuple[torch.Tensor, float]:
    """What is seen of a fitted head turned by chance: (S, S) uint8, and its yaw in degrees."""
    shot = RandomShots(pitch=25.0).shot(draw)
    focal = shot.focal * MASK_SIZE
    p = parameters.replace(
        rotation=head_turn(shot.yaw, shot.pitch, shot.roll),
        translation=torch.tensor([0.0, -20.0, shot.focal * 300.0]),
    )
    return to_bytes(seen_from(model, p, Camera(focal, MASK_SIZE, MASK_SIZE), size, island)), shot.yaw


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


def to_bytes(values: torch.Tensor) -> torch.Tensor:
    """Values in [0, 1] as uint8."""
    return (values.clamp(0, 1) * 255).round().to(torch.uint8)
