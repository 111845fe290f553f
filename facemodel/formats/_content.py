"""What files of other people's models look like, where more than one place has to know: by content alone.

Enters: a path and its `Summary`. Leaves: yes or no. Readers use it for their extra files, `facemodel.formats.strangers`
to say what a file is.
"""

from __future__ import annotations

import struct
from pathlib import Path

from facemodel.formats._containers import Summary

OLD_NAMES = {
    "v_template": ("default_v", "template_v"), "J_regressor": ("joint_regressor",), "posedirs": ("blendshapes",),
}  # fmt: skip


def named(summary: Summary, name: str) -> str | None:
    return next((n for n in (name, *OLD_NAMES.get(name, ())) if n in summary.shapes), None)


def skinned(summary: Summary) -> bool:
    """Whether a file is a model of the SMPL family: FLAME, or a body."""
    return summary.kind in ("pickle", "npz", "npy") and all(
        named(summary, n) for n in ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table")
    )


def joint_count(summary: Summary) -> int:
    return summary.shapes["kintree_table"][-1] if summary.shapes["kintree_table"] else 0


def is_masks(summary: Summary) -> bool:
    return summary.kind in ("pickle", "npz") and summary.has("face", "neck", "scalp", "lips")


def is_embedding(summary: Summary) -> bool:
    return any(summary.has(*names) for names in EMBEDDINGS)


EMBEDDINGS = (
    ("full_lmk_faces_idx", "full_lmk_bary_coords"),
    ("static_lmk_faces_idx", "static_lmk_bary_coords"),
    ("lmk_face_idx", "lmk_b_coords"),
)


def is_texture(summary: Summary) -> bool:
    return summary.kind == "npz" and (summary.has("mean", "tex_dir") or summary.has("MU", "PC"))


def starts(path: Path, summary: Summary, size: int) -> bytes:
    if summary.kind or not path.is_file():
        return b""
    with open(path, "rb") as file:
        return file.read(size)


def is_blendshapes(path: Path, summary: Summary) -> bool:
    """Whether a file begins as eos' expressions do: how many, a name, a column of numbers."""
    head = starts(path, summary, 300)
    if len(head) < 16:
        return False
    count, size = struct.unpack_from("<QQ", head)
    if not (0 < count <= 512 and 0 < size <= 200 and len(head) >= 24 + size):
        return False
    rows, columns = struct.unpack_from("<ii", head, 16 + size)
    return columns == 1 and rows > 0 and rows % 3 == 0


def is_landmark_table(path: Path, summary: Summary) -> bool:
    """eos' table of iBUG's landmarks (TOML)."""
    return summary.kind == "text" and b"[landmark_mappings]" in path.read_bytes()[: 1 << 20]


def is_corner_table(path: Path, summary: Summary) -> bool:
    """GNM's landmarks: rows of a vertex and its share, three times; 68 of iBUG's or 468 and 478 of MediaPipe's."""
    if summary.kind != "text" or path.stat().st_size > 1 << 20:
        return False
    rows = [line.split() for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    try:
        return len(rows) in (68, 468, 478) and all(
            len(r) == 6 and abs(sum(float(x) for x in r[1::2]) - 1) < 0.01 for r in rows
        )
    except ValueError:
        return False
