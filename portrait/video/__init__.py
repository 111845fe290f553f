"""Video in and out, streamed through PyAV."""

from portrait.video.images import is_image, read_image
from portrait.video.reader import ImageReader, VideoReader, WithoutPadding, has_sound, open_frames
from portrait.video.writer import VideoWriter, read_comment

__all__ = [
    "ImageReader", "VideoReader", "VideoWriter", "WithoutPadding", "has_sound", "is_image", "open_frames",
    "read_comment", "read_image",
]  # fmt: skip
