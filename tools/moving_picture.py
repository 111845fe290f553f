"""Makes an animated WebP of a part of a video, for the texts: it plays where a video wouldn't.

python -m tools.moving_picture side.mp4 docs/images/reenact.webp [--first 0] [--count 60] [--every 2] [--width 960]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

from portrait.video import VideoReader


def moving(video: Path, out: Path, first: int, count: int, every: int, width: int) -> None:
    """``count`` frames from ``first`` on, each ``every``-th, at the video's pace, in a megabyte where that can be."""
    reader = VideoReader(video)
    wanted = range(first, first + count * every, every)
    pictures = [
        Image.fromarray(frame).resize((width, round(frame.shape[0] * width / frame.shape[1])), Image.LANCZOS)
        for k, _, frame in reader
        if k in wanted
    ]
    pace = round(1000 * every / reader.fps)
    for quality in range(75, 30, -5):
        pictures[0].save(
            out, save_all=True, append_images=pictures[1:], duration=pace, loop=0, quality=quality, method=4
        )
        if out.stat().st_size <= 1e6:
            break
    print(f"{out}: {width} px, {len(pictures)} frames, {out.stat().st_size / 1e6:.2f} MB, quality {quality}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("out", type=Path)
    for name, default in (("first", 0), ("count", 60), ("every", 2), ("width", 960)):
        parser.add_argument(f"--{name}", type=int, default=default)
    moving(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
