"""How fast a clip is tracked, decoding, landmarks and key frames included, and whether memory grows with its length.

    python -m benchmarks.tracking VIDEO [--frames 500]

The last line is one JSON object: ``fps`` (all frames over all the time after start-up, both passes and the solve for
identity included), ``rss_ratio`` (peak memory of the whole clip over that of its first fifth, each in a process of its
own), and milliseconds a stage and frame.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time


class Repeated:
    """The first ``count`` frames of a clip, from its start again where it is shorter."""

    def __init__(self, frames, count: int) -> None:
        self.frames, self.frame_count = frames, count
        self.width, self.height, self.fps = frames.width, frames.height, frames.fps

    def __iter__(self):
        index = 0
        while index < self.frame_count:
            for _, _, picture in self.frames:
                yield index, index / self.fps, picture
                index += 1
                if index == self.frame_count:
                    return


def one_run(video: str, count: int) -> dict:
    import facemodel
    import fitting
    from portrait.video import VideoReader

    model = facemodel.load()
    reader = VideoReader(video)
    fitting.fit_video(Repeated(reader, 4), model=model)  # start-up: compiled code, detector graphs
    begun = time.perf_counter()
    track = fitting.fit_video(Repeated(reader, count), model=model)
    seconds = time.perf_counter() - begun
    return {
        "frames": len(track),
        "tracked": int(track.tracked.sum()),
        "seconds": seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "stages": track.facts["timings"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("video")
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one_run(options.video, options.frames)))
        return
    runs = []
    for count in (options.frames // 5, options.frames):
        command = [sys.executable, "-m", "benchmarks.tracking", options.video, "--frames", str(count), "--one"]
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        runs.append(json.loads(out.splitlines()[-1]))
        run = runs[-1]
        print(f"{run['frames']} frames, {run['tracked']} tracked: {run['seconds']:.2f} s, peak {run['peak_mb']:.0f} MB")
    short, long = runs
    milliseconds = {k: round(1000 * v / long["frames"], 2) for k, v in long["stages"].items()}
    for stage, value in milliseconds.items():
        print(f"  {stage:<12} {value:7.2f} ms a frame")
    print(
        json.dumps(
            {
                "fps": round(long["frames"] / long["seconds"], 2),
                "rss_ratio": round(long["peak_mb"] / short["peak_mb"], 4),
                "peak_mb": round(long["peak_mb"], 1),
                "frames": long["frames"],
                "ms": milliseconds,
            }
        )
    )


if __name__ == "__main__":
    main()
