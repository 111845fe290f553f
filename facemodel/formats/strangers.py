"""What a file is that isn't a face model here, in words: what people give by mistake, and what to give instead."""

from __future__ import annotations

from pathlib import Path

from facemodel.formats import _content
from facemodel.formats._containers import Summary, summarize

BODIES = {24: "SMPL", 22: "SMPL", 52: "SMPL-H or MANO's body", 55: "SMPL-X", 16: "MANO, a hand"}
KINDS = {
    "pickle": "a pickle", "npz": "an npz file", "npy": "an npy file", "mat": "a MATLAB file", "hdf5": "an HDF5 file",
    "obj": "an OBJ file", "json": "a JSON file", "text": "a text file", "folder": "a folder",
}  # fmt: skip
POINTS = (5, 51, 68, 70, 98, 106, 468, 478)  # how many landmarks detectors give
CHECK = "give the file of a face model ('portrait model list' names the formats)"


def describe(path: Path) -> str:
    """A sentence without the path. Raises nothing."""
    path = Path(path)
    summary = summarize(path)
    try:
        return _stranger(path, summary)
    except Exception:  # noqa: BLE001 (a file that can't be looked at)
        return f"another kind of file than a face model, or a truncated one; {CHECK}"


def _stranger(path: Path, summary: Summary) -> str:  # noqa: PLR0911, PLR0912 (a list of what there is)
    kind = KINDS.get(summary.kind, "a file of unknown kind")
    if summary.has("data.pkl") or any(k.endswith("/data.pkl") for k in summary.shapes):
        return "a file of torch.save, whose pickle is never loaded; convert it to npz or safetensors"
    if summary.broken:
        return f"{kind} that can't be read: {summary.broken}; {CHECK}"
    shape = summary.shapes.get("", ())
    if _content.skinned(summary):
        joints = _content.joint_count(summary)
        what = BODIES.get(joints, "a body or a hand")
        return f"a model of SMPL's family with {joints} joints ({what}), not of a face; give FLAME's file"
    if _content.is_masks(summary):
        return "FLAME's region masks; give them as an extra file, with FLAME's model"
    if _content.is_embedding(summary):
        return "a landmark embedding of FLAME's topology; give it as an extra file, with FLAME's model"
    if _content.is_texture(summary):
        return "a texture of FLAME's topology; give it as an extra file, with FLAME's model"
    if _content.is_blendshapes(path, summary):
        return "eos' expressions; give them as an extra file, with sfm_shape_3448.bin"
    if _content.is_landmark_table(path, summary):
        return "eos' table of landmarks; give it as an extra file, with sfm_shape_3448.bin"
    if any(len(s) in (2, 3) and s[-1] in (2, 3) and s[-2] in POINTS for s in summary.shapes.values()):
        return f"landmarks, not a face model; {CHECK}"
    if summary.has("tri", "keypoints") or summary.has("trimIndex") or summary.has("idx") or summary.has("select_id"):
        return "an index table of the Basel Face Model 2009 without its statistics; give BFM_model_front.mat"
    if summary.kind == "obj":
        return f"a mesh without statistics; {CHECK}"
    if summary.kind == "npy" and len(shape) == 2 and shape[1] == 3:
        return "offsets of vertices, an extra file perhaps (FLAME's eyelids); give it with its model"
    if summary.kind == "text" and _points(path):
        return f"2D landmarks, not a face model; {CHECK}"
    if summary.kind in ("pickle", "npz") and summary.has("w_shp"):
        return f"a part of 3DDFA's model; give the folder that has the rest of it; {CHECK}"
    keys = ", ".join(sorted(k for k in summary.shapes if k)[:6])
    held = f" with {keys}" if keys and summary.kind != "folder" else ""
    return f"{kind}{held}: another kind of file than a face model, or a truncated one; {CHECK}"


def _points(path: Path) -> bool:
    """Whether a text is a list of points, in the form of the 300-W's .pts or rows of numbers."""
    text = path.read_bytes()[: 1 << 16].decode("utf-8", errors="replace")
    if "n_points" in text:
        return True
    rows = [line.replace(",", " ").split() for line in text.splitlines() if line.strip()]
    numbers = sum(len(r) in (2, 3) and all(_number(x) for x in r) for r in rows)
    return len(rows) >= 5 and numbers >= 0.9 * len(rows)


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
