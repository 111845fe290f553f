"""What the default face must be able to do: mirror itself, close and turn its eyes, open its mouth."""

import pytest
import torch

from facemodel.formats.default import DEFAULT_MODEL, read_model_file
from facemodel.gaze import gaze_direction
from facemodel.landmark_schemes import SCHEMES
from geometry.camera import Camera, to_camera
from renderer.rasterizers import rasterize
from tools.build_model.regions import REGIONS

FLIP = torch.tensor([-1.0, 1.0, 1.0])

EYES_CLOSED = {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}


@pytest.fixture(scope="module")
def mirror():
    """(V,) each vertex' twin on the other side, which the file has."""
    return read_model_file(DEFAULT_MODEL)[0]["mirror"].long()


def expression_of(model, **values):
    coefficients = torch.zeros(len(model.expression_names))
    for name, value in values.items():
        coefficients[model.expression_index(name)] = value
    return coefficients


def random_identities(count, seed=0):
    """(count, 80) with every coefficient anywhere between -2 and 2: heads further out than people are."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 80, generator=generator) * 4 - 2


def seen_fraction(model, vertices, mask, yaw=0.0, pitch=0.0):
    """Share of the head's pixels that show triangles of the masked vertices, by the rasteriser."""
    rotation = torch.deg2rad(torch.tensor([pitch, yaw, 0.0]))
    points = to_camera(vertices, rotation, torch.tensor([0.0, 0.0, 700.0]))
    found = rasterize(points[None], model.triangles, Camera(900.0, 400, 400)).pix_to_face.flatten()
    shown = mask[model.triangles].all(-1)[found[found >= 0]]
    return float(shown.float().mean())


class TestMirror:
    def test_is_an_involution(self, model, mirror):
        assert torch.equal(mirror[mirror], torch.arange(len(mirror)))

    def test_mean_and_albedo_are_symmetric(self, model, mirror):
        torch.testing.assert_close(model.mean[mirror] * FLIP, model.mean, atol=1e-5, rtol=0)
        torch.testing.assert_close(model.reflectance.mean[mirror], model.reflectance.mean, atol=1e-6, rtol=0)

    def test_left_and_right_shapes_mirror_each_other(self, model, mirror):
        for name in ("eyeBlinkLeft", "mouthSmileLeft", "browDownLeft", "jawLeft", "eyeLookInLeft"):
            left = model.expression_basis[model.expression_index(name)]
            right = model.expression_basis[model.expression_index(name.replace("Left", "Right"))]
            torch.testing.assert_close(left[mirror] * FLIP, right, atol=5e-3, rtol=0)

    def test_identity_components_are_even_or_odd(self, model, mirror):
        twin = model.identity_basis[:, mirror] * FLIP
        even = (twin - model.identity_basis).flatten(1).abs().amax(1)
        odd = (twin + model.identity_basis).flatten(1).abs().amax(1)
        assert torch.minimum(even, odd).max() < 0.01
        assert (even < 0.01).sum() > (odd < 0.01).sum() > 0

    def test_triangles_and_atlas_are_symmetric(self, model, mirror):
        triangles = {tuple(sorted(t)) for t in model.triangles.tolist()}
        assert all(tuple(sorted(t)) in triangles for t in mirror[model.triangles].tolist())
        corners = {}
        for t, uv in zip(model.triangles.tolist(), model.atlas.coordinates[model.atlas.triangles].tolist()):
            corners[tuple(sorted(t))] = dict(zip(t, uv))
        worst = 0.0
        for t, places in corners.items():
            twin = corners[tuple(sorted(mirror[list(t)].tolist()))]
            for v, (x, y) in places.items():
                other = twin[int(mirror[v])]
                worst = max(worst, abs(1 - x - other[0]), abs(y - other[1]))
        assert worst < 1e-4


class TestAtlas:
    def signed_areas(self, model):
        a, b, c = model.atlas.coordinates[model.atlas.triangles].unbind(1)
        return ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2

    def test_face_isnt_flipped_and_gets_most_of_the_area(self, model):
        assert model.atlas.coordinates.min() >= 0 and model.atlas.coordinates.max() <= 1
        areas = self.signed_areas(model)
        face = model.regions["face"][model.triangles].all(-1)
        assert (areas[face] > 0).all()
        assert areas[face].sum() > 0.5

    def test_face_doesnt_overlap(self, model):
        """Drawn in its atlas, the face covers as much as its triangles' areas add up to."""
        face = model.regions["face"][model.triangles].all(-1)
        size = 1024
        points = torch.cat(
            [model.atlas.coordinates * size, torch.ones(len(model.atlas.coordinates), 1)], 1
        ) * torch.tensor([1.0, 1.0, 1.0])
        camera = Camera(1.0, size, size, cx=0.0, cy=0.0)
        drawn = rasterize(points[None], model.atlas.triangles[face], camera).pix_to_face
        covered = (drawn >= 0).double().sum() / size**2
        torch.testing.assert_close(covered, self.signed_areas(model)[face].double().sum(), rtol=2e-3, atol=0)

    def test_stretch_is_low(self, model):
        face = model.regions["skin"][model.triangles].all(-1)
        a, b, c = model.mean[model.triangles[face]].unbind(1)
        ratio = self.signed_areas(model)[face] / torch.linalg.cross(b - a, c - a).norm(dim=-1)
        assert ratio.quantile(0.95) / ratio.quantile(0.05) < 3


class TestEyes:
    def test_eyeballs_stay_spheres(self, model):
        identities = random_identities(4)
        vertices = model.vertices(identities, torch.rand(4, 52), torch.full((2, 2), 0.4))
        centers, radii = model.eye_centers(identities), model.eye_radius(identities)
        assert ((radii > 9) & (radii < 15)).all()
        for eye, index in enumerate(model.eyes.vertices):
            distance = (vertices[:, index] - centers[:, eye, None]).norm(dim=-1)
            torch.testing.assert_close(distance, radii[:, eye, None].expand_as(distance), atol=0.02, rtol=0)

    def test_gaze_turns_the_iris(self, model):
        gaze = torch.tensor([[0.3, 0.2], [-0.1, -0.25]])
        vertices = model.vertices(gaze=gaze)
        for eye, index in enumerate(model.eyes.vertices):
            pole = index[model.mean[index, 2].argmax()]
            direction = (vertices[pole] - model.eye_centers()[eye]) / model.eye_radius()[eye]
            torch.testing.assert_close(direction, gaze_direction(gaze[eye]), atol=1e-3, rtol=0)
        assert (vertices - model.mean)[~model.regions["eyes"]].abs().max() == 0

    def test_eye_zero_is_the_subjects_left(self, model):
        centers = model.eye_centers()
        assert centers[0, 0] > 0 > centers[1, 0]

    def test_expressions_leave_eyeballs_alone(self, model):
        assert model.expression_basis[:, model.regions["eyes"]].abs().max() == 0

    @pytest.mark.parametrize(("yaw", "pitch"), [(0, 0), (25, 0), (0, 15), (0, -20)])
    def test_closed_lids_leave_no_gap(self, model, yaw, pitch):
        closed = expression_of(model, **EYES_CLOSED)
        for identity in [torch.zeros(80), *random_identities(10, seed=2)]:
            assert seen_fraction(model, model.vertices(identity, closed), model.regions["eyes"], yaw, pitch) == 0

    def test_lids_cover_the_ball_but_for_the_opening(self, model):
        """The ball shows between the lids alone: less than it would if it came through them."""
        for identity in [torch.zeros(80), *random_identities(6, seed=3)]:
            for gaze in (torch.zeros(2, 2), torch.full((2, 2), 0.52), torch.full((2, 2), -0.52)):
                vertices = model.vertices(identity, None, gaze)
                assert 0.004 < seen_fraction(model, vertices, model.regions["eyes"]) < 0.025

    def test_half_closed_lids_close_by_about_half(self, model):
        seen = [
            seen_fraction(model, model.vertices(None, v * expression_of(model, **EYES_CLOSED)), model.regions["eyes"])
            for v in (0.0, 0.25, 0.5, 0.75, 1.0)
        ]
        assert seen == sorted(seen, reverse=True)
        assert 0.15 < seen[2] / seen[0] < 0.6


class TestMouth:
    def test_lips_are_closed_at_rest(self, model):
        inside = model.regions["mouth_inside"] | model.regions["teeth"] | model.regions["tongue"]
        for identity in [torch.zeros(80), *random_identities(8, seed=4)]:
            assert seen_fraction(model, model.vertices(identity), inside) < 2e-4

    def test_jaw_opens_the_mouth(self, model):
        opened = model.vertices(None, expression_of(model, jawOpen=0.6))
        inside = model.regions["mouth_inside"] | model.regions["teeth"] | model.regions["tongue"]
        assert seen_fraction(model, opened, inside) > 0.005
        chin = model.landmarks(opened - model.mean)[8]
        tongue = (opened - model.mean)[model.regions["tongue"]]
        assert chin[1] < -8 and tongue[:, 1].min() < -8

    def test_close_undoes_the_jaw_at_the_lips(self, model):
        """mouthClose is relative to jawOpen, as in ARKit: both together close the lips over an open jaw."""
        vertices = model.vertices(None, expression_of(model, jawOpen=1.0, mouthClose=1.0))
        inside = model.regions["mouth_inside"] | model.regions["teeth"] | model.regions["tongue"]
        assert seen_fraction(model, vertices, inside) < 1e-3
        assert model.landmarks(vertices - model.mean)[8, 1] < -15


class TestRegions:
    def test_names_and_sizes(self, model, mirror):
        assert set(model.regions) == set(REGIONS)
        assert all(mask.any() and mask.shape == model.mean.shape[:1] for mask in model.regions.values())
        assert all(torch.equal(mask, mask[mirror]) for mask in model.regions.values())

    def test_they_contain_what_they_say(self, model):
        regions = model.regions
        assert (regions["skin"] & (regions["eyes"] | regions["scalp"] | regions["ears"] | regions["neck"])).sum() == 0
        assert (regions["pupil"] & ~regions["iris"]).sum() == 0 and (regions["iris"] & ~regions["eyes"]).sum() == 0
        brows, lips = model.mean[regions["brows"], 1].mean(), model.mean[regions["lips"], 1].mean()
        assert brows > model.eye_centers()[0, 1] > lips


class TestAlbedo:
    def test_range(self, model):
        assert model.reflectance.mean.min() > 0 and model.reflectance.mean.max() < 1

    def test_colours_are_plausible(self, model):
        mean = {name: model.reflectance.mean[mask].mean(0) for name, mask in model.regions.items()}
        assert mean["skin"][0] > mean["skin"][1] > mean["skin"][2]
        assert mean["lips"][1] / mean["lips"][0] < mean["skin"][1] / mean["skin"][0], "lips are redder"
        assert mean["brows"].sum() < mean["skin"].sum() and mean["pupil"].max() < 0.02

    def test_random_skin_stays_a_colour(self, model):
        colors = model.albedo(torch.randn(64, 80, generator=torch.Generator().manual_seed(5)))
        skin = colors[:, model.regions["skin"]]
        assert (skin < 0).float().mean() < 0.01 and (skin > 1).float().mean() < 0.001


class TestLandmarks:
    @pytest.mark.parametrize("scheme", ["ibug68", "mediapipe478"])
    def test_embedding_is_valid(self, model, scheme):
        embedding = model.embedding(scheme)
        weights = embedding.barycentric
        assert (weights >= 0).all()
        torch.testing.assert_close(weights.sum(1), torch.ones(len(weights)))
        assert len(weights) == SCHEMES[scheme].count
        assert ((embedding.weights >= 0) & (embedding.weights <= 1)).all()

    def test_irises_lie_on_their_eyeballs(self, model):
        corners = model.triangles[model.embedding("mediapipe478").triangles[468:]]
        assert torch.isin(corners[:5], model.eyes.vertices[1]).all()
        assert torch.isin(corners[5:], model.eyes.vertices[0]).all()
        centers = model.landmarks(model.mean, "mediapipe478")[[473, 468]]
        ahead = model.eye_centers() + model.eye_radius()[:, None] * torch.tensor([0.0, 0.0, 1.0])
        assert (centers - ahead).norm(dim=-1).max() < 1.5

    def test_lips_and_lids_go_with_their_own_side(self, model):
        neutral = model.landmarks(model.mean, "mediapipe478")
        mouth = model.landmarks(model.vertices(None, expression_of(model, jawOpen=0.5)), "mediapipe478") - neutral
        assert mouth[[13, 82, 312, 81, 311], 1].abs().max() < 3, "the upper lip stays"
        assert mouth[[14, 87, 317, 178, 402], 1].max() < -10, "the lower lip falls"
        eyes = model.landmarks(model.vertices(None, expression_of(model, **EYES_CLOSED)), "mediapipe478") - neutral
        assert eyes[[159, 386, 158, 385], 1].max() < -5, "the upper lids fall"
        assert eyes[[145, 374, 153, 380], 1].abs().max() < 2.5, "the lower lids stay"

    def test_ibug_points_are_in_order(self, model):
        points = model.landmarks(model.mean)
        assert (points[2:16, 0] > points[1:15, 0]).all(), "the jaw goes from the subject's right to the left"
        assert (points[18:27, 0] > points[17:26, 0]).all(), "so do the brows"
        assert (points[27:30, 1] > points[28:31, 1]).all(), "the nose goes down"
        assert points[30, 2] > points[[27, 33, 51], 2].max(), "and its tip is in front"
        assert points[36, 0] < points[39, 0] < points[42, 0] < points[45, 0]
        assert (points[61:64, 1] > points[[67, 66, 65], 1] - 1).all()
