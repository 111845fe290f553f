"""Completion of textures: holes filled from the mirrored side, or by UV-GAN (Deng et al., CVPR 2018)."""
