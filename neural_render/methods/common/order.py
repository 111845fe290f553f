"""Which frame of the target's clip is behind each made one."""

from __future__ import annotations

import numpy as np

from facemodel.editing.mixing import is_mixed
from facemodel.editing.mixing import target_frames as frames_behind
from facemodel.track import Track
from foundation.errors import PortraitError


def target_frames(track: Track, count: int | None = None) -> list[int]:
    """For each frame of the track the frame of the target clip it goes into.

    What the track says that was mixed. Else frame k goes into frame k; where the target has only ``count`` frames, the
    clip is played forwards and backwards in turn.
    """
    listed = frames_behind(track)
    if len(listed) != len(track):
        raise PortraitError(
            f"track: expected one target frame for each of its {len(track)} frames, got {len(listed)}; mix again"
        )
    if is_mixed(track) or count is None or len(track) <= count:
        return listed
    period = max(2 * count - 2, 1)
    return [k if k < count else period - k for k in (np.arange(len(track)) % period).tolist()]
