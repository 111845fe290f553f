"""Face pictures for the networks: read, resized, scaled as SphereFace has it, (value - 127.5) / 128."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from foundation.errors import PortraitError
from foundation.progress import Report, counted, ignore

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


def find_picture(path: Path) -> Path:
    """The path, or where nothing is there the same name with another ending: lists say .jpg, pictures may be .PNG."""
    if not is_picture(path):
        for ending in (*ENDINGS, *map(str.upper, ENDINGS)):
            if is_picture(other := path.with_suffix(ending)):
                return other
    return path


def is_picture(path: Path) -> bool:
    """Whether a file is there; False, too, for names that no file can have, as spoilt lists have them."""
    try:
        return path.is_file()
    except OSError:  # too long
        return False


def read_picture(path: Path) -> np.ndarray | None:
    """(H, W, 3) uint8 RGB; None where the file is missing or can't be decoded."""
    try:
        data = np.fromfile(path, np.uint8)
    except OSError:
        return None
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    return None if picture is None else cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def prepare(picture: np.ndarray, height: int, width: int, *, mirrored: bool = False) -> Tensor:
    """(h, w, 3) uint8 -> (3, height, width) float32, -1 to 1; made smaller by averages over areas."""
    if picture.shape[:2] != (height, width):
        smaller = picture.shape[0] > height
        way = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        picture = cv2.resize(picture, (width, height), interpolation=way)
    if mirrored:
        picture = picture[:, ::-1]
    scaled = (picture.astype(np.float32) - 127.5) / 128
    return torch.from_numpy(np.ascontiguousarray(scaled.transpose(2, 0, 1)))


def unreadable(files: list[Path], report: Report = ignore) -> list[int]:
    """Indices of the files that can't be decoded; reads each once, on several threads."""
    with ThreadPoolExecutor() as pool:
        readable = pool.map(lambda f: read_picture(f) is not None, files)
        fine = list(counted(readable, report, "checking pictures", len(files), "pictures"))
    return [index for index, could in enumerate(fine) if not could]


class Pictures(Dataset):
    """Pictures with a label and a yaw; an item is asked for by (index, mirrored).

    Gives (3, H, W) float32, the label, and the yaw in degrees (NaN where it isn't known).
    """

    def __init__(self, files: list[Path], labels: np.ndarray, yaw: np.ndarray, height: int, width: int):
        self.files, self.labels, self.yaw = files, labels, yaw
        self.height, self.width = height, width

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, item: tuple[int, bool]) -> tuple[Tensor, int, float]:
        index, mirrored = item
        picture = read_picture(self.files[index])
        if picture is None:
            raise PortraitError(
                f"picture '{self.files[index]}': could be read when the training began and can't now; put it back, or "
                "run the same command again to leave it out"
            )
        image = prepare(picture, self.height, self.width, mirrored=mirrored)
        return image, int(self.labels[index]), np.float32(self.yaw[index])
