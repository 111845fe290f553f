"""Video in and out, streamed through PyAV."""

from .video_reader import ImageReader, VideoReader, WithoutPadding, has_sound, is_image, open_frames, read_image
from .video_writer import VideoWriter, read_comment

__all__ = [
    "ImageReader", "VideoReader", "VideoWriter", "WithoutPadding", "has_sound", "is_image", "open_frames",
    "read_comment", "read_image",
]  # fmt: skip
