"""The contract of face models: blocks, capabilities that are asked for, a model with hardly anything, fingerprints."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

import facemodel
from facemodel import Block, PortraitError
from facemodel.base import PLAIN_SKIN, check_same_model
from facemodel.linear import LinearModel
from facemodel.registry import FORMATS, MODELS, load
from tests.facemodel.clips import TETRAHEDRON, small_model


@pytest.fixture(scope="module")
def bare() -> LinearModel:
    """A surface, one identity coefficient, one signed expression."""
    expression = Block(("tilt",), torch.tensor([-2.0]), torch.tensor([0.5]), torch.zeros(1), torch.ones(1))
    tensors = {
        "mean": torch.eye(4, 3),
        "triangles": torch.tensor(TETRAHEDRON),
        "identity_basis": torch.ones(1, 4, 3),
        "expression_basis": torch.full((1, 4, 3), 2.0),
    }
    return LinearModel(tensors, name="bare", fingerprint="0", expression=expression)


class TestBlocks:
    def test_bounds(self):
        block = Block(("a", "b"), torch.tensor([-1.0, 0]), torch.tensor([1, torch.inf]), torch.zeros(2), torch.ones(2))
        values = torch.tensor([[-3.0, -3.0], [3.0, 3.0]], dtype=torch.float64)
        assert block.clamp(values).tolist() == [[-1, 0], [1, 3]] and block.clamp(values).dtype == torch.float64

    def test_names(self):
        block = Block.activations(("jawOpen", "Smile"))
        assert block.index(" JAWOPEN ") == 0 and len(block) == 2
        with pytest.raises(PortraitError, match="unknown coefficient 'smyle': did you mean 'Smile'"):
            block.index("smyle")
        assert Block.standard("identity", 3).names == ("identity 0", "identity 1", "identity 2")
        assert block.to("meta").upper.device.type == "meta"


class TestCapabilities:
    def test_a_bare_model_has_none_and_says_what_is_missing(self, bare):
        assert bare.capabilities == frozenset() and bare.count("reflectance") == bare.count("joints") == 0
        assert bare.eyes is bare.atlas is bare.reflectance is None
        assert not bare.region("lips").any() and bare.region("lips").shape == (4,)
        for capability, words in (("atlas", "a UV atlas"), ("eyes", "eyeballs that turn"), ("joints", "joints")):
            with pytest.raises(PortraitError, match=f"model 'bare': drawing needs {words}, which this model doesn't"):
                bare.require(capability, "drawing")
        with pytest.raises(PortraitError, match="has no landmarks of scheme 'ibug68' \\(it has none\\)"):
            bare.landmarks(bare.mean)
        with pytest.raises(PortraitError, match="the place of the eyeballs needs eyeballs"):
            bare.eye_centers()
        assert "no capabilities" in repr(bare)

    def test_what_is_asked_without_them_has_an_answer(self, bare):
        assert torch.equal(bare.albedo(), torch.tensor(PLAIN_SKIN).expand(4, 3))
        assert bare.albedo(torch.zeros(2, 0)).shape == (2, 4, 3)
        turned = bare.vertices(torch.ones(1), torch.ones(1), torch.ones(3, 2, 2), torch.zeros(0))
        assert torch.equal(turned, (bare.mean + 3).expand_as(turned))

    def test_derivatives_of_a_linear_model_are_its_bases(self, bare):
        found = bare.linearize(torch.ones(1), torch.ones(1), torch.zeros(0))
        assert torch.equal(found.vertices, bare.mean + 3) and found.joints.shape == (0, 4, 3)
        general = facemodel.FaceModel.linearize(bare, torch.ones(1), torch.ones(1), torch.zeros(0))
        for name in ("vertices", "identity", "expression", "joints"):
            torch.testing.assert_close(getattr(general, name), getattr(found, name))

    def test_arkit_names_are_found_among_others(self):
        model = small_model(names=("frown", "jawOpen", "eyeBlinkLeft"))
        assert model.arkit == {"jawOpen": 1, "eyeBlinkLeft": 2} and "arkit" in model.capabilities


def test_fingerprints_are_compared_in_one_place(bare):
    check_same_model("track: fitted", SimpleNamespace(model="bare", fingerprint="0"), bare)
    other = SimpleNamespace(model="other", fingerprint="1")
    with pytest.raises(PortraitError) as error:
        check_same_model("weights 'w': trained", other, bare, "train again")
    expected = "weights 'w': trained with model 'other' (1), but the model loaded is 'bare' (0); train again"
    assert str(error.value) == expected


def test_models_and_formats_are_registered_by_name(bare, tmp_path):
    class OneByte:
        name = "one-byte"
        title = "one byte"

        def sniff(self, path):
            return path.is_file() and path.read_bytes() == b"!"

        def read(self, path):
            return bare

    MODELS.add("bare", lambda: bare)
    FORMATS.add("one-byte", OneByte())
    try:
        assert load("bare") is bare
        (tmp_path / "model.bin").write_bytes(b"!")
        assert load(tmp_path / "model.bin") is bare
    finally:
        MODELS.remove("bare")
        FORMATS.remove("one-byte")
    with pytest.raises(PortraitError, match="neither a file nor a model that is known by name \\(default"):
        load("bare")
