"""Deep Video Portraits (Kim et al., SIGGRAPH 2018): one network for one clip, fed with rendered maps."""

from neural_render.methods.base import METHODS

METHODS.add("deep-video-portraits", "neural_render.methods.deep_video_portraits.method:DeepVideoPortraits")
