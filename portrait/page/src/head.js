// A face as three.js draws it: targets as morph targets, bones in the vertex shader, a skin under light.
import {
  BufferAttribute, BufferGeometry, Color, Float32BufferAttribute, Group, Matrix4, Mesh, MeshStandardMaterial, SRGBColorSpace,
  Texture, Vector3,
} from "three";

const MOST_TARGETS = 160; // that a shader takes on any device; beyond, vertices are computed here
const MOST_BONES = 12;

export class Head {
  constructor(face, atlas) {
    this.face = face;
    this.onGpu = face.targets <= MOST_TARGETS && face.bones <= MOST_BONES;
    const corners = atlas ?? { at: Uint32Array.from({ length: face.count }, (_, v) => v), triangles: face.triangles };
    this.at = corners.at;
    this.geometry = this.build(corners);
    this.uniforms = {
      bones: { value: Array.from({ length: Math.max(1, face.bones) }, () => new Matrix4()) },
      heatOn: { value: 0 },
    };
    this.material = this.dress(atlas);
    this.mesh = new Mesh(this.geometry, this.material);
    this.mesh.frustumCulled = false;
    this.group = new Group();
    this.group.matrixAutoUpdate = false;
    this.group.add(this.mesh);
  }

  spread(array, size) {
    const out = new Float32Array(this.at.length * size);
    this.at.forEach((v, i) => out.set(array.subarray(v * size, v * size + size), i * size));
    return out;
  }

  build({ triangles, uv }) {
    const { face } = this;
    const geometry = new BufferGeometry();
    const rest = face.normals(face.base);
    geometry.setIndex(new BufferAttribute(triangles, 1));
    geometry.setAttribute("position", new Float32BufferAttribute(this.spread(face.base, 3), 3));
    geometry.setAttribute("normal", new Float32BufferAttribute(this.spread(rest, 3), 3));
    const look = Float32Array.from({ length: 2 * face.count }, (_, i) => (face.look[i >> 1] >> (i & 1)) & 1);
    geometry.setAttribute("look", new Float32BufferAttribute(this.spread(look, 2), 2));
    geometry.setAttribute("heat", new Float32BufferAttribute(new Float32Array(this.at.length), 1));
    if (uv) geometry.setAttribute("uv", new Float32BufferAttribute(uv, 2));
    const color = new Color(), colors = new Float32Array(face.base.length);
    for (let v = 0; v < face.count; v++)
      color.setRGB(...Array.from(face.albedo.subarray(3 * v, 3 * v + 3), (c) => c / 255), SRGBColorSpace).toArray(colors, 3 * v);
    geometry.setAttribute("color", new Float32BufferAttribute(this.spread(colors, 3), 3));
    if (!this.onGpu) return geometry;
    for (let first = 0; first < face.bones; first += 4) {
      const part = new Float32Array(4 * face.count);
      for (let v = 0; v < face.count; v++)
        for (let b = first; b < Math.min(first + 4, face.bones); b++) part[4 * v + b - first] = face.weights[v * face.bones + b];
      geometry.setAttribute(`bones${first / 4}`, new Float32BufferAttribute(this.spread(part, 4), 4));
    }
    geometry.morphTargetsRelative = true;
    geometry.morphAttributes = { position: [], normal: [] };
    for (let t = 0; t < face.targets; t++) {
      const moved = face.target(t);
      geometry.morphAttributes.position.push(new Float32BufferAttribute(this.spread(moved, 3), 3));
      for (let i = 0; i < moved.length; i++) moved[i] += face.base[i];
      const bent = face.normals(moved);
      for (let i = 0; i < bent.length; i++) bent[i] -= rest[i];
      geometry.morphAttributes.normal.push(new Float32BufferAttribute(this.spread(bent, 3), 3));
    }
    return geometry;
  }

  dress(atlas) {
    const material = new MeshStandardMaterial({ vertexColors: !atlas, roughness: 0.58 });
    if (atlas) {
      material.map = new Texture(atlas.image);
      material.map.colorSpace = SRGBColorSpace;
      material.map.anisotropy = 4;
      material.map.needsUpdate = true;
    }
    material.onBeforeCompile = (shader) => {
      Object.assign(shader.uniforms, this.uniforms);
      const bones = this.onGpu ? this.face.bones : 0;
      const edit = (stage, ...pairs) => pairs.forEach(([from, to]) => (shader[stage] = shader[stage].replace(from, to)));
      edit("vertexShader",
        ["#include <common>", `#include <common>\n${boneHeader(bones)}attribute vec2 look;attribute float heat;varying vec2 vLook;varying float vHeat;`],
        ["#include <beginnormal_vertex>", `#include <beginnormal_vertex>\nvLook = look; vHeat = heat;`],
        ["#include <defaultnormal_vertex>", `${bones ? "objectNormal = mat3(boneMatrix()) * objectNormal;" : ""}\n#include <defaultnormal_vertex>`],
        ["#include <project_vertex>", `${bones ? PLACE : ""}\n#include <project_vertex>`],
      );
      edit("fragmentShader",
        ["#include <common>", `#include <common>\nvarying vec2 vLook;varying float vHeat;uniform float heatOn;${RAMP}`],
        ["#include <roughnessmap_fragment>", "#include <roughnessmap_fragment>\nroughnessFactor = mix(roughnessFactor, 0.22, vLook.x);"],
        ["#include <aomap_fragment>", SHADE],
        ["#include <color_fragment>", "#include <color_fragment>\nif (heatOn > 0.5) diffuseColor.rgb = ramp(vHeat);"],
      );
    };
    return material;
  }

  /** Draws a state; see `Face.pose`. */
  pose(state) {
    this.face.pose(state);
    if (this.onGpu) {
      this.mesh.morphTargetInfluences.splice(0, this.face.targets, ...this.face.influences);
      for (let b = 0; b < this.face.bones; b++) this.uniforms.bones.value[b].fromArray(this.face.matrices, 16 * b);
      return;
    }
    const positions = this.face.vertices();
    this.fill("position", positions, 3);
    this.fill("normal", this.face.normals(positions), 3);
  }

  fill(name, array, size) {
    const attribute = this.geometry.attributes[name];
    attribute.array.set(this.spread(array, size));
    attribute.needsUpdate = true;
  }

  /** Colours by numbers (V) from 0 to 1; null ends that. */
  heat(numbers) {
    this.uniforms.heatOn.value = numbers ? 1 : 0;
    if (numbers) this.fill("heat", numbers, 1);
  }

  /** The middle of the face and its radius, mm. */
  get bounds() {
    this.geometry.computeBoundingSphere();
    const { center, radius } = this.geometry.boundingSphere;
    return { center: center ?? new Vector3(), radius };
  }
}

/** GLSL: the weights of a vertex' bones, and its matrix. */
export function boneHeader(bones) {
  if (!bones) return "";
  const parts = Array.from({ length: Math.ceil(bones / 4) }, (_, i) => i);
  const sum = Array.from({ length: bones }, (_, b) => `bones${b >> 2}[${b & 3}] * bones[${b}]`).join(" + ");
  const attributes = parts.map((i) => `attribute vec4 bones${i};`).join("");
  return `uniform mat4 bones[${bones}];${attributes}mat4 boneMatrix() { return ${sum}; }\n`;
}
export const PLACE = "transformed = (boneMatrix() * vec4(transformed, 1.0)).xyz;";

// Lamps cast no shadows here; without this they would shine through the cheeks.
const SHADE = `#include <aomap_fragment>
reflectedLight.directDiffuse *= 1.0 - 0.7 * vLook.y;
reflectedLight.directSpecular *= 1.0 - 0.9 * vLook.y;`;

const RAMP = `
vec3 ramp(float x) { // of no difference, grey, by blue and yellow to red
  vec3 a = vec3(0.30), b = vec3(0.08, 0.25, 0.62), c = vec3(0.85, 0.62, 0.12), d = vec3(0.75, 0.07, 0.05);
  x = clamp(x, 0.0, 1.0) * 3.0;
  return x < 1.0 ? mix(a, b, x) : x < 2.0 ? mix(b, c, x - 1.0) : mix(c, d, x - 2.0);
}`;
