"""FaceWarehouse's folders and FaceScape's cores."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from benchmarks.model_files.head import Head, write_obj
from benchmarks.model_files.written import Written


def people_faces(head: Head, people: int, expressions: int) -> np.ndarray:
    """(N, S, V, 3) mm: expressions that differ from person to person, the first at rest."""
    shapes, moves = head.basis(people, 4.0, 61, 1.0), head.basis(expressions, 3.0, 62, 1.0)
    own = np.random.default_rng(63).normal(1, 0.2, (people, expressions, 1, 1))
    moves[0] = 0
    return head.vertices + shapes[:, None] + own * moves


def write_facewarehouse(folder: Path, head: Head) -> Written:
    """Folders of twelve people, 46 absolute expressions each beside the neutral one, tenths of a metre."""
    folder = folder / "facewarehouse"
    faces = (people_faces(head, 12, 47) / 100).astype("<f4")
    for n, shapes in enumerate(faces):
        place = folder / f"Tester_{n + 1}" / "Blendshape"
        place.mkdir(parents=True)
        data = struct.pack("<iii", 46, len(head.vertices), len(head.triangles)) + shapes.tobytes()
        (place / "shape.bs").write_bytes(data)
    mesh = write_obj(folder.parent / "facewarehouse.obj", head)
    # The principal components of the people's faces, all expressions together.
    order = sorted(range(12), key=lambda n: len(f"Tester_{n + 1}"))  # as a folder lists them, by number
    wide = faces.astype(np.float64)[order].reshape(12, -1)
    left, values, right = np.linalg.svd(wide - wide.mean(0), full_matrices=False)

    def evaluate(i, e, joints, gaze):
        # The components' signs are nobody's business: a model's may be told by its own mesh of component k alone.
        coefficients = i * values[: len(i)] / np.sqrt(11)
        shapes = (wide.mean(0) + coefficients @ right[: len(i)]).reshape(47, -1, 3)
        blend = np.concatenate([[1 - e.sum()], e])
        return 100 * np.tensordot(blend, shapes, 1)

    return Written(folder, evaluate, head.triangles, [mesh], {"identity": 11, "expression": 46})


def write_facescape(folder: Path, head: Head, version: str = "1.6") -> Written:
    """facescape_bm_v1.6_847_50_52_id_front.npz: a core (3 V, 52, 50), quads from 1, pickled dictionaries beside; or the
    core alone of version 1.0, (52, 50, 3 V), and the people's factors."""
    faces = people_faces(head, 50, 52)
    people, values, right = np.linalg.svd(faces.reshape(50, -1), full_matrices=False)  # row n: person n's factors
    core = (values[:, None] * right).reshape(50, 52, -1).transpose(2, 1, 0)
    middle, variance = people.mean(0), people.var(0)
    if version == "1.6":
        path = folder / "facescape_bm_v1.6_847_50_52_id_front.npz"
        np.savez(
            path, shape_bm_core=core, fv_indices=head.triangles + 1, ft_indices=head.triangles + 1,
            texcoords=np.random.default_rng(65).uniform(size=(len(head.vertices), 2)), lm_list_v16=head.marks,
            id_mean=middle, id_var=variance, sym_dict=np.array({1: 2}, dtype=object), vert_num=len(head.vertices),
        )  # fmt: skip
        extras = []
    else:
        path = folder / "core_847_50_52.npy"
        np.save(path, core.transpose(1, 2, 0))
        extras = [write_obj(folder / "facescape.obj", head), folder / "factors_id_847_50_52.npy"]
        np.save(extras[1], people)

    def evaluate(i, e, joints, gaze):
        weights = middle + np.sqrt(variance) * i
        return (core @ weights @ np.concatenate([[1 - e.sum()], e])).reshape(-1, 3)

    return Written(path, evaluate, head.triangles, extras, {"identity": 50, "expression": 51})
