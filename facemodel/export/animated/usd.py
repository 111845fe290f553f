"""Animated USD (.usda, .usdc, .usdz): UsdSkel's blend shapes and joints with time samples, and the clip's camera.

Millimetres (``metersPerUnit`` 0.001), y up, before a camera at the origin that looks along -z. Time codes are frames,
from 0. Needs the package usd-core. Spec: Pixar, "UsdSkel schemas".
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from facemodel.export.animated.base import ANIMATED, Animated, Checked, Performance
from facemodel.export.animated.glb import quaternions
from facemodel.export.animated.rig import Rig, rig_of
from facemodel.export.mesh import normals_of, png_bytes
from foundation.errors import PortraitError
from foundation.progress import Report
from geometry.color import srgb_to_linear

ROOT, SKELETON, MESH, ANIMATION, CAMERA = "/face", "/face/rig", "/face/mesh", "/face/animation", "/camera"
APERTURE = 36.0  # mm of film, across: only its ratio to the focal length counts
AXES = "x to the subject's left in the mesh; y up; the camera is at the origin and looks along -z"


def usd():
    """The library's modules. PortraitError where it isn't installed."""
    try:
        from pxr import Gf, Sdf, Tf, Usd, UsdGeom, UsdShade, UsdSkel, UsdUtils, Vt
    except ImportError:
        raise PortraitError("export: .usda, .usdc and .usdz need usd-core; pip install usd-core") from None
    import types

    return types.SimpleNamespace(
        Gf=Gf, Sdf=Sdf, Tf=Tf, Usd=Usd, UsdGeom=UsdGeom, UsdShade=UsdShade, UsdSkel=UsdSkel, UsdUtils=UsdUtils, Vt=Vt
    )


def write(clip: Performance, path: Path, report: Report) -> Sequence[str]:
    """A .usdz is a package of the same as .usdc, with its texture; the others have the texture beside them."""
    u = usd()
    rig = rig_of(clip)
    with tempfile.TemporaryDirectory() as folder:
        packed = path.suffix.lower() == ".usdz"
        # The library takes names for patterns and addresses: it's given plain ones, and the file its own afterwards.
        made = Path(folder) / ("face.usdc" if packed else f"face{path.suffix.lower()}")
        texture = None if clip.texture is None else ("texture.png" if packed else f"{path.stem}.png")
        stage = u.Usd.Stage.CreateNew(str(made))
        fill(u, stage, rig, clip, texture)
        stage.GetRootLayer().Save()
        if texture is not None:
            (Path(folder) / texture if packed else path.with_name(texture)).write_bytes(png_bytes(clip.texture))
        if packed:
            inside, made = made, Path(folder) / "face.usdz"
            if not u.UsdUtils.CreateNewUsdzPackage(str(inside), str(made)):
                raise PortraitError(f"export '{path.name}': usd-core can't pack it; write .usdc")
        path.write_bytes(made.read_bytes())
    return ()


def fill(u, stage, rig: Rig, clip: Performance, texture: str | None) -> None:
    """Everything in an empty stage."""
    u.UsdGeom.SetStageMetersPerUnit(stage, 0.001)
    u.UsdGeom.SetStageUpAxis(stage, u.UsdGeom.Tokens.y)
    stage.SetTimeCodesPerSecond(clip.track.fps)
    stage.SetFramesPerSecond(clip.track.fps)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(len(clip.track) - 1)
    stage.GetRootLayer().customLayerData = {"axes": AXES, "facts": json.dumps(clip.facts())}
    root = u.UsdSkel.Root.Define(stage, ROOT)
    stage.SetDefaultPrim(root.GetPrim())
    mesh = add_mesh(u, stage, rig)
    add_look(u, stage, mesh, rig, clip, texture)
    names = add_shapes(u, stage, mesh, rig)
    add_motion(u, stage, rig, names)
    add_camera(u, stage, clip)


def add_mesh(u, stage, rig: Rig):
    """The surface at rest, bound to the skeleton."""
    mesh, floats = u.UsdGeom.Mesh.Define(stage, MESH), u.Vt.Vec3fArray.FromNumpy
    points, triangles = rig.mesh.neutral.astype(np.float32), rig.mesh.triangles.astype(np.int32)
    mesh.CreatePointsAttr(floats(points))
    mesh.CreateFaceVertexCountsAttr(u.Vt.IntArray.FromNumpy(np.full(len(triangles), 3, np.int32)))
    mesh.CreateFaceVertexIndicesAttr(u.Vt.IntArray.FromNumpy(triangles.ravel()))
    mesh.CreateSubdivisionSchemeAttr("none")
    mesh.CreateNormalsAttr(floats(normals_of(rig.mesh, rig.mesh.neutral).astype(np.float32)))
    mesh.SetNormalsInterpolation("vertex")
    mesh.CreateExtentAttr(floats(np.stack([points.min(0), points.max(0)])))
    binding = u.UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    width = max(1, int((rig.skin > 0).sum(-1).max()))
    order = np.argsort(-rig.skin, -1, kind="stable")[:, :width]
    weights = np.take_along_axis(rig.skin, order, -1).astype(np.float32)
    binding.CreateJointIndicesPrimvar(False, width).Set(u.Vt.IntArray.FromNumpy(order.astype(np.int32).ravel()))
    binding.CreateJointWeightsPrimvar(False, width).Set(u.Vt.FloatArray.FromNumpy(weights.ravel()))
    binding.CreateSkeletonRel().SetTargets([SKELETON])
    return mesh


def add_look(u, stage, mesh, rig: Rig, clip: Performance, texture: str | None) -> None:
    """A material with the texture, or coloured vertices."""
    primvars = u.UsdGeom.PrimvarsAPI(mesh)
    if texture is None:
        import torch

        colors = srgb_to_linear(torch.from_numpy(rig.mesh.colors / 255)).numpy().astype(np.float32)
        shown = primvars.CreatePrimvar("displayColor", u.Sdf.ValueTypeNames.Color3fArray, "vertex")
        shown.Set(u.Vt.Vec3fArray.FromNumpy(colors))
        return
    coordinates = primvars.CreatePrimvar("st", u.Sdf.ValueTypeNames.TexCoord2fArray, "faceVarying")
    coordinates.Set(u.Vt.Vec2fArray.FromNumpy(rig.mesh.uv.astype(np.float32)))
    coordinates.SetIndices(u.Vt.IntArray.FromNumpy(rig.mesh.uv_triangles.astype(np.int32).ravel()))
    types, material = u.Sdf.ValueTypeNames, u.UsdShade.Material.Define(stage, f"{ROOT}/skin")

    def shader(name: str, kind: str):
        made = u.UsdShade.Shader.Define(stage, f"{ROOT}/skin/{name}")
        made.CreateIdAttr(kind)
        return made

    surface, picture = shader("surface", "UsdPreviewSurface"), shader("texture", "UsdUVTexture")
    reader = shader("st", "UsdPrimvarReader_float2")
    reader.CreateInput("varname", types.String).Set("st")
    picture.CreateInput("file", types.Asset).Set(f"./{texture}")
    picture.CreateInput("sourceColorSpace", types.Token).Set("sRGB")
    for side in ("wrapS", "wrapT"):
        picture.CreateInput(side, types.Token).Set("clamp")
    picture.CreateInput("st", types.Float2).ConnectToSource(reader.CreateOutput("result", types.Float2))
    shows = "emissiveColor" if clip.unlit else "diffuseColor"
    surface.CreateInput(shows, types.Color3f).ConnectToSource(picture.CreateOutput("rgb", types.Float3))
    if clip.unlit:
        surface.CreateInput("diffuseColor", types.Color3f).Set(u.Gf.Vec3f(0))
    surface.CreateInput("roughness", types.Float).Set(0.8)
    material.CreateSurfaceOutput().ConnectToSource(surface.CreateOutput("surface", types.Token))
    u.UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)


def add_shapes(u, stage, mesh, rig: Rig) -> list[str]:
    """Blend shapes, sparse; their names as the animation has them."""
    rest, floats = normals_of(rig.mesh, rig.mesh.neutral), u.Vt.Vec3fArray.FromNumpy
    targets, taken = [], set()
    for name, added in zip(rig.mesh.shape_names, rig.mesh.shapes):
        valid = u.Tf.MakeValidIdentifier(name)
        while valid in taken:
            valid += "_"
        taken.add(valid)
        shape = u.UsdSkel.BlendShape.Define(stage, f"{MESH}/{valid}")
        turned = normals_of(rig.mesh, rig.mesh.neutral + added) - rest
        rows = np.flatnonzero(added.any(-1) | turned.any(-1)).astype(np.int32)
        shape.CreateOffsetsAttr(floats(added[rows].astype(np.float32)))
        shape.CreateNormalOffsetsAttr(floats(turned[rows].astype(np.float32)))
        shape.CreatePointIndicesAttr(u.Vt.IntArray.FromNumpy(rows))
        targets.append(shape.GetPath())
    binding = u.UsdSkel.BindingAPI(mesh)
    binding.CreateBlendShapesAttr(list(rig.mesh.shape_names))
    binding.CreateBlendShapeTargetsRel().SetTargets(targets)
    return list(rig.mesh.shape_names)


def add_motion(u, stage, rig: Rig, names: list[str]) -> None:
    """The skeleton, and the animation that drives it and the shapes."""
    paths: list[str] = []
    for name, parent in zip(rig.joints, rig.parents):
        valid = u.Tf.MakeValidIdentifier(name)
        paths.append(valid if parent < 0 else f"{paths[parent]}/{valid}")
    place = lambda offset: u.Gf.Matrix4d(1).SetTranslate(u.Gf.Vec3d(*map(float, offset)))  # noqa: E731
    skeleton = u.UsdSkel.Skeleton.Define(stage, SKELETON)
    skeleton.CreateJointsAttr(paths)
    skeleton.CreateBindTransformsAttr([place(b) for b in rig.bind])
    up = [rig.bind[p] if p >= 0 else np.zeros(3) for p in rig.parents]
    skeleton.CreateRestTransformsAttr([place(b - a) for a, b in zip(up, rig.bind)])
    animation = u.UsdSkel.Animation.Define(stage, ANIMATION)
    animation.CreateJointsAttr(paths)
    animation.CreateBlendShapesAttr(names)
    turns = np.stack([quaternions(rig.rotations[:, k]) for k in range(len(paths))], 1)
    translations, rotations = animation.CreateTranslationsAttr(), animation.CreateRotationsAttr()
    animation.CreateScalesAttr([u.Gf.Vec3h(1)] * len(paths))
    weights = animation.CreateBlendShapeWeightsAttr()
    for k in range(len(rig.weights)):
        translations.Set(u.Vt.Vec3fArray.FromNumpy(rig.translations[k].astype(np.float32)), k)
        rotations.Set([u.Gf.Quatf(float(w), float(x), float(y), float(z)) for x, y, z, w in turns[k]], k)
        weights.Set(u.Vt.FloatArray.FromNumpy(rig.weights[k].astype(np.float32)), k)
    u.UsdSkel.BindingAPI.Apply(skeleton.GetPrim()).CreateAnimationSourceRel().SetTargets([ANIMATION])


def add_camera(u, stage, clip: Performance) -> None:
    """A camera of the clip's pictures."""
    c, camera = clip.camera, u.UsdGeom.Camera.Define(stage, CAMERA)
    camera.CreateHorizontalApertureAttr(APERTURE)
    camera.CreateVerticalApertureAttr(APERTURE * c.height / c.width)
    camera.CreateFocalLengthAttr(APERTURE * c.focal / c.width)
    camera.CreateClippingRangeAttr(u.Gf.Vec2f(1, 100000))
    camera.GetPrim().SetCustomDataByKey("width", c.width)
    camera.GetPrim().SetCustomDataByKey("height", c.height)


def check(clip: Performance, path: Path) -> Checked:
    """Points that UsdSkel's own `BakeSkinning` makes, against the clip's, and their pixels by the file's camera."""
    u = usd()
    with tempfile.TemporaryDirectory() as folder:  # a plain name again
        plain = Path(folder) / f"face{path.suffix.lower()}"
        plain.write_bytes(path.read_bytes())
        stage = u.Usd.Stage.Open(str(plain))
        camera = u.UsdGeom.Camera(stage.GetPrimAtPath(CAMERA))
        width, height = (camera.GetPrim().GetCustomDataByKey(n) for n in ("width", "height"))
        focal = camera.GetFocalLengthAttr().Get() / camera.GetHorizontalApertureAttr().Get() * width
        stage.GetSessionLayer().timeCodesPerSecond = stage.GetTimeCodesPerSecond()  # else its own 24 stretch the times
        stage.SetEditTarget(stage.GetSessionLayer())
        u.UsdSkel.BakeSkinning(u.Usd.PrimRange(stage.GetPrimAtPath(ROOT)))
        points, scale = (
            u.UsdGeom.Mesh(stage.GetPrimAtPath(MESH)).GetPointsAttr(),
            u.UsdGeom.GetStageMetersPerUnit(stage),
        )
        rotation, translation, mm, px = *clip.poses, 0.0, 0.0
        for k, vertices in enumerate(clip.vertices()):
            found = np.array(points.Get(k), dtype=float) * (1, -1, -1) * (scale / 0.001)
            wanted = vertices @ rotation[k].T + translation[k]
            mm = max(mm, float(np.linalg.norm(found - wanted, axis=-1).max()))
            pixels = focal * found[:, :2] / found[:, 2:] + (width / 2, height / 2)
            px = max(px, float(np.abs(pixels - clip.pixels(vertices, k)).max()))
    return Checked("usd-core (UsdSkel.BakeSkinning)", mm, px, frames=len(clip.track))


for _name in ("usda", "usdc", "usdz"):
    ANIMATED.add(_name, Animated(f"animated .{_name}", write, check, (f".{_name}",), textured=True))
