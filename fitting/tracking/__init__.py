"""From pictures to a track: key frames, frame after frame, online."""
