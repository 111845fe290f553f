"""What Blender makes of a .pc2: imports the .obj beside it, plays the cache, and writes every frame's points as .npy.

python benchmarks/blender_cache.py face.pc2 points.npy      (in a Python that has bpy)
"""

import struct
import sys

import bpy
import numpy as np

cache, target = sys.argv[-2:]
with open(cache, "rb") as file:
    samples = struct.unpack("<12siiffi", file.read(32))[-1]
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.wm.obj_import(filepath=cache[:-4] + ".obj", forward_axis="Y", up_axis="Z", validate_meshes=False)
face = bpy.context.selected_objects[0]
modifier = face.modifiers.new("cache", "MESH_CACHE")
modifier.cache_format, modifier.filepath, modifier.frame_start = "PC2", cache, 0.0
points = np.empty((samples, len(face.data.vertices), 3), np.float32)
for k in range(samples):
    bpy.context.scene.frame_set(k)
    shown = face.evaluated_get(bpy.context.evaluated_depsgraph_get()).to_mesh()
    shown.vertices.foreach_get("co", points[k].reshape(-1))
np.save(target, points)
