"""Real files of other people's models, which aren't part of the repository."""

import os
from pathlib import Path

import pytest

MODELS = Path(os.environ.get("FACE_MODELS", Path(__file__).parents[4] / "shared" / "models"))
needs_real = pytest.mark.skipif(
    not (MODELS / "README.md").is_file(), reason="no real files of face models here: FACE_MODELS names their folder"
)
