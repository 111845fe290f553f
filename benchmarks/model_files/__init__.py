"""Small files in the exact form of other people's face models, each with its evaluation as its authors wrote it.

The head in them is made up, so they may be written anywhere; the forms are those of the published files: names, shapes,
order of numbers, units, where indices begin, which way triangles go around. An evaluation uses the arrays as they went
into the file and numpy alone, never `facemodel`. `benchmarks.models` and the tests of the readers use them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.model_files.basel import write_3ddfa, write_bfm2009, write_bfm_front, write_face3d, write_statismo
from benchmarks.model_files.bilinear import people_faces, write_facescape, write_facewarehouse
from benchmarks.model_files.head import Head, make_head, write_obj
from benchmarks.model_files.matlab import write_lsfm, write_lyhm
from benchmarks.model_files.sfm import write_sfm
from benchmarks.model_files.skinned import flame_arrays, stub_modules, write_flame, write_gnm
from benchmarks.model_files.written import Evaluation, Written

__all__ = [
    "WRITERS", "Evaluation", "Head", "Written", "flame_arrays", "make_head", "people_faces", "stub_modules",
    "write_bfm_front", "write_facescape", "write_facewarehouse", "write_flame", "write_gnm", "write_obj", "write_sfm",
]  # fmt: skip


WRITERS: dict[str, Callable[[Path, Head], Written]] = {
    "FLAME, chumpy": write_flame,
    "FLAME, open": lambda folder, head: write_flame(folder, head, chumpy=False, lids=True, protocol=5),
    "GNM": write_gnm,
    "BFM 2009": write_bfm2009,
    "BFM 2009 front": write_bfm_front,
    "face3d": write_face3d,
    "3DDFA": lambda folder, head: write_3ddfa(folder, head, 1),
    "3DDFA V2": lambda folder, head: write_3ddfa(folder, head, 2),
    "statismo 0.9": write_statismo,
    "statismo 0.8": lambda folder, head: write_statismo(folder, head, 8, legacy=True),
    "eos version 1": write_sfm,
    "eos version 4": lambda folder, head: write_sfm(folder, head, 4),
    "LSFM": write_lsfm,
    "LYHM": write_lyhm,
    "FaceWarehouse": write_facewarehouse,
    "FaceScape 1.6": write_facescape,
    "FaceScape 1.0": lambda folder, head: write_facescape(folder, head, "1.0"),
}
"""By the form's name; each writes into a folder of its own."""
