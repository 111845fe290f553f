"""Pieces of the reports: one file each, no scripts, nothing fetched."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape
from pathlib import Path

import numpy as np
import torch

from facemodel import Track
from foundation.atomic import write_file
from renderer import overlay, render

STYLE = """
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em}
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}table{border-collapse:collapse}td,th{padding:.15em 1em .15em 0;
text-align:left;vertical-align:top}svg{width:100%;height:auto}img{max-width:100%}.note{opacity:.75}
.doubts td{padding-bottom:1em}.doubts figure{margin:0}.doubts img{max-width:none}
.warn{background:#fc36;padding:.4em .8em;border-radius:4px}figure{margin:1em 0}figcaption{opacity:.75}
"""
FAR_OFF = 80.0  # of 255: a difference that is drawn in the last colour


def page(title: str, sections: Iterable[str]) -> str:
    """A page of HTML in one file."""
    head = f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title><style>{STYLE}</style>"
    return head + "\n".join(sections) + "</html>\n"


def write_page(path: Path, title: str, sections: Iterable[str]) -> Path:
    """Writes a page of HTML; it appears whole or not at all."""
    return write_file(path, page(title, sections).encode("utf-8", "replace"), "report")


def figure(picture: np.ndarray, caption: str) -> str:
    """An (H, W, 3) uint8 RGB picture within the page, as JPEG."""
    import cv2

    data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()
    encoded = base64.b64encode(data).decode()
    image = f'<img alt="{escape(caption)}" src="data:image/jpeg;base64,{encoded}">'
    return f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"


def around(frame: np.ndarray, track: Track, index: int) -> np.ndarray:
    """A square about the head, inside the frame."""
    p = track.parameters.expanded()[index]
    scale = float(p.focal) / float(p.translation[2])
    side = int(min(frame.shape[0], frame.shape[1], max(32, 280 * scale)))
    x = float(p.focal) * float(p.translation[0] / p.translation[2]) + track.width / 2 - side / 2
    y = float(p.focal) * float(p.translation[1] / p.translation[2]) + track.height / 2 - side / 2
    x, y = (int(np.clip(v, 0, limit - side)) for v, limit in ((x, frame.shape[1]), (y, frame.shape[0])))
    return frame[y : y + side, x : x + side]


def with_model(model, track: Track, index: int, frame: np.ndarray) -> np.ndarray:
    """A frame of the clip with the shaded model over it; the frame itself where there is no face."""
    if not track.tracked[index]:
        return frame
    drawn, mask = _drawn(model, track, index)
    return overlay(torch.from_numpy(frame), drawn, mask, 0.75).numpy()


def colour_errors(model, track: Track, index: int, frame: np.ndarray) -> np.ndarray:
    """A tracked frame, dimmed, its face coloured by how far off the fit is: blue 0, red `FAR_OFF` of 255 and more."""
    import cv2

    drawn, mask = _drawn(model, track, index)
    off = np.abs(255 * drawn.numpy() - frame).mean(-1).clip(0, FAR_OFF) * (255 / FAR_OFF)
    coloured = cv2.applyColorMap(off.astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
    return np.where(mask.numpy() > 0.5, coloured, frame // 3)


def _drawn(model, track: Track, index: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The fitted face of a frame, (H, W, 3) in [0, 1], and where it is, (H, W, 1)."""
    with torch.inference_mode():
        p = track.parameters[index].to(model.mean.device)
        maps = render(model, p, track.camera, maps=["diffuse", "mask"])
    return maps["diffuse"][0].cpu(), maps["mask"][0].cpu()
