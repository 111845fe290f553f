"""An animated .glb of ``portrait export`` as .fbx, by Blender, which FBX's maker gives the only other way for.

    blender --background --python glb_to_fbx.py -- face.glb face.fbx

Or, where the package ``bpy`` is installed: ``python glb_to_fbx.py face.glb face.fbx``.
"""

import json
import struct
import sys

import bpy

source, target = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]

with open(source, "rb") as file:
    head = file.read(20)
    table = json.loads(file.read(struct.unpack_from("<I", head, 12)[0]))
rate = table["asset"]["extras"]["frames_per_second"]

bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
scene.render.fps = round(rate)  # before the import: else keys land between frames
scene.render.fps_base = round(rate) / rate
bpy.ops.import_scene.gltf(filepath=source)
scene.frame_start, scene.frame_end = 0, table["asset"]["extras"]["frames"] - 1
bpy.ops.export_scene.fbx(
    filepath=target,
    object_types={"ARMATURE", "MESH", "CAMERA", "EMPTY"},
    use_mesh_modifiers=False,  # which would drop the shapes
    bake_anim=True,
    bake_anim_use_nla_strips=False,
    bake_anim_use_all_actions=False,
    bake_anim_simplify_factor=0.0,
    add_leaf_bones=False,
    path_mode="COPY",
    embed_textures=True,
)
