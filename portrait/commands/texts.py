"""What the command line prints of results, by their type. Imported when there is a result: it imports the services."""

from __future__ import annotations

from functools import singledispatch
from math import isnan

from portrait.files import VERSION
from portrait.services.alignment import Aligned
from portrait.services.batch import Batch
from portrait.services.dataset import Dataset
from portrait.services.describing import Description
from portrait.services.doctor import Examination
from portrait.services.editing import Edited, Mixed
from portrait.services.exporting import Exported, ExportedNetwork
from portrait.services.fitting import Fitted, FittedPeople
from portrait.services.live import Counts
from portrait.services.pipeline import Reenacted
from portrait.services.recognition import ComparedRuns, EvaluatedRun, Seed, TrainedRun, TrainingData
from portrait.services.rendering import Rendered
from portrait.services.synthesis import Synthesized
from portrait.services.training import Trained
from portrait.services.uv import Textured
from portrait.services.uv_training import TrainedCompletion
from portrait.tracks import describe_track
from portrait.video.writer import padding_note
from recognition.results import Comparison


@singledispatch
def lines(result: object) -> list[str]:
    """What there is to say of a result; notes were said when they came."""
    return []


@lines.register
def _(r: Fitted) -> list[str]:
    if r.kept:
        out = [f"{r.path}: already there for this input and these settings, kept ({describe_track(r.track)})"]
    else:
        rate = f"{r.seconds:.1f} s, {len(r.track) / r.seconds:.1f} frames a second"
        out = [f"{r.path}: {describe_track(r.track)}; {rate}", *(f"  note: {text}" for text in r.warnings)]
    return out if r.page is None else [*out, f"{r.page}: doubtful frames, overlays, curves"]


@lines.register
def _(r: FittedPeople) -> list[str]:
    return [line for fitted in r.people for line in lines(fitted)]


@lines.register
def _(r: Batch) -> list[str]:
    kept = sum(row.kept for row in r.rows)
    new = sum(row.status == "fitted" for row in r.rows) - kept
    parts = [f"{new} fitted", f"{kept} already there" if kept else "", f"{r.failed} failed"]
    count = f"{len(r.rows)} clip{'s' if len(r.rows) != 1 else ''}"
    return [f"{r.summary}: {count}, {', '.join(filter(None, parts))}; {r.seconds:.1f} s"]


@lines.register
def _(r: Edited) -> list[str]:
    out = []
    if r.curves is not None:
        rows, seconds = len(r.curves.times), r.curves.times[-1]
        out.append(f"{r.read}: {rows} rows, {seconds:.2f} s, {len(r.curves.values)} columns")
    if r.neutral is not None:
        out.append(f"  neutral: frame {r.neutral}")
    if r.path is not None:
        out.append(f"{r.path}: {describe_track(r.track)}")
    return out if r.written is None else [*out, f"{r.written}: {len(r.track)} rows"]


@lines.register
def _(r: Mixed) -> list[str]:
    of = r.neutral
    against = "" if of is None else f"; neutral: source frame {of['source']}, target frame {of['target']}"
    out = [f"{r.path}: {describe_track(r.track)}{against}"]
    pose = r.track.facts["mixed"].get("pose")
    if pose is not None:
        few = pose["limited_frames"]
        kept = f"; {few} frames are kept from turning further than either clip" if few else ""
        yaws = f"a yaw of {pose['source']['yaw']:g} in the source, of {pose['target']['yaw']:g} in the target"
        out.append(f"  pose: counted from {yaws}{kept}")
    return out


@lines.register
def _(r: Rendered) -> list[str]:
    padding = lambda wide: "" if r.still else padding_note(wide, r.height, r.pixel_aspect)  # noqa: E731
    size = f"{r.width} x {r.height}"
    if r.over is not None:
        what = f"{r.maps[0]} over {r.over.name}, {size}{padding(r.width)}"
    elif r.one_each:
        what = f"{', '.join(f'{n}.mp4' for n in r.maps)}, {size}{padding(r.width)}"
    else:
        what = f"{', '.join(r.maps)} side by side, {size} each{padding(len(r.maps) * r.width)}"
    return [f"{r.path}: {what}, {r.frames} frames"]


@lines.register
def _(r: Trained) -> list[str]:
    s = r.summary
    begun = f" (gone on at step {s.resumed_at})" if s.resumed_at else ""
    size = f", {r.options.size} px" if hasattr(r.options, "size") else ""
    losses = ", ".join(f"{k} {v:.3f}" for k, v in s.losses.items())
    out = [f"{s.weights}: {s.steps} steps in {s.seconds / 60:.1f} minutes{begun}, {s.frames} frames{size}; {losses}"]
    if s.excluded:
        of = f" of {r.frames}" if r.frames else ""
        out.append(f"  note: {s.excluded}{of} frames have no tracked face and were left out")
    if s.rollbacks:
        out.append(f"  note: it diverged {s.rollbacks} times and went back to its last checkpoint, at half the rates")
    if s.score is not None:
        out.append(f"  held-out frames: L1 {s.score:.4f}, where pictures are in -1 to 1; the best state was kept")
    return [*out, *([f"  note: {s.note}"] if getattr(s, "note", "") else [])]


@lines.register
def _(r: Synthesized) -> list[str]:
    size = f"{r.width} x {r.height}{padding_note(r.width, r.height, r.pixel_aspect)}"
    return [f"{r.path}: {r.frames} frames, {size}; labelled as synthetic in its metadata"]


@lines.register
def _(r: Reenacted) -> list[str]:
    out = [f"{r.comparison}: driver, target, result side by side"] if r.comparison else []
    return out if r.page is None else [*out, f"{r.page}: curves, overlays, timings"]


@lines.register
def _(r: Counts) -> list[str]:
    return [f"{r.source}: {r.fps:.1f} frames a second, {r.made} made of {r.taken} taken, {r.dropped} dropped"]


@lines.register
def _(r: Exported) -> list[str]:
    unit = "metres, expression as morph targets" if r.path.suffix.lower() == ".glb" else "millimetres"
    return [f"{r.path}: frame {r.frame}, {unit}; landmarks and camera in {r.path.stem}.landmarks.json"]


@lines.register
def _(r: ExportedNetwork) -> list[str]:
    return [f"{r.path}: {r.about}"]


@lines.register
def _(r: Description) -> list[str]:
    return [r.headline, *(f"  {'  ' * fact.level}{fact.name:<11} {fact.text}" for fact in r.facts)]


@lines.register
def _(r: Examination) -> list[str]:
    out = [f"video-portraits {VERSION} on {r.system}"]
    for found in r.findings:
        mark = "OK     " if found.good else "MISSING" if found.needed else "without"
        out.append(f"  {mark}  {found.name:<16} {found.text}")
        if not found.good and found.command:
            out.append(f"{'':<11}{'':<16} -> {found.command}")
    well = "All that is needed works; next: portrait demo"
    return [*out, well if r.well else "Something that is needed is missing, see above."]


@lines.register
def _(r: Textured) -> list[str]:
    filled = f"holes filled by {r.complete}" if r.complete else "holes show the fitted model (--complete fills them)"
    return [f"{r.path}: {r.size} x {r.size} texture, {100 * r.seen:.0f} % of the head's skin seen; {filled}"]


@lines.register
def _(r: TrainedCompletion) -> list[str]:
    parts = [f"{k} {v:.3f}" for k, v in r.losses.items()]
    if r.score is not None:
        parts.append(f"L1 in holes of people kept out {r.score:.4f}, of a range of 2")
    spent = f"{r.steps} steps in {r.seconds / 60:.1f} minutes"
    return [f"{r.weights}: {spent}, {r.textures} textures of {r.people} people, {r.size} texels",
            "  " + ", ".join(parts)]  # fmt: skip


@lines.register
def _(r: Dataset) -> list[str]:
    return [
        f"{r.path}: {r.identities * r.pictures} pictures of {r.identities} people who don't exist "
        f"({r.drawn} drawn now); metadata.csv says yaw, pitch, split and seeds"
    ]


@lines.register
def _(r: Aligned) -> list[str]:
    return [
        f"{r.path}: {r.aligned} of {r.pictures} pictures aligned; {r.faceless} without a face, cropped in the middle; "
        f"{r.unreadable} can't be decoded"
    ]


@lines.register
def _(r: TrainingData) -> list[str]:
    return [
        f"{r.folder}: {r.pictures} pictures of {r.identities} identities, {r.fewest} to {r.most} each; "
        f"{r.alone} identities have one"
    ]


@lines.register
def _(r: Seed) -> list[str]:
    begun = f" (gone on at step {r.resumed_at})" if r.resumed_at else ""
    losses = ", ".join(f"{k} {v:.3f}" for k, v in r.losses.items())
    return [f"{r.weights}: {r.steps} steps in {r.seconds / 60:.1f} minutes{begun}; {losses}"]


@lines.register
def _(r: TrainedRun) -> list[str]:
    return []  # each seed was told when it was done


@lines.register
def _(r: Comparison) -> list[str]:
    parts = [f"EER {100 * r.eer:.2f} %"]
    if not isnan(r.accuracy):
        interval = "" if isnan(r.interval) else f" +- {100 * r.interval:.2f}"
        parts.insert(0, f"accuracy {100 * r.accuracy:.2f}{interval} %")
    if not isnan(r.tar[0.01]):
        parts.append(f"TAR {100 * r.tar[0.01]:.2f} % at FAR 0.01")
    return [f"{r.run}, {r.protocol}: {', '.join(parts)}"]


@lines.register
def _(r: EvaluatedRun) -> list[str]:
    return [*(line for row in r.rows for line in lines(row)), f"{r.table}, {r.page}"]


@lines.register
def _(r: ComparedRuns) -> list[str]:
    return [*(line for row in r.rows for line in lines(row)), f"{r.page}, {r.table}"]
