// One person's surface: from coefficients to influences of targets and to bones, and to vertices on the CPU.
// The GPU draws the same (head.js); portrait/page/surface.py made the arrays.
import { IDENTITY, fromGaze, fromVector, multiply, turn } from "./rotation.js";

export class Face {
  /** who: "a" or "b"; what b lacks it shares with a. */
  constructor(arrays, facts, who) {
    const get = (name) => arrays[`${who} ${name}`] ?? arrays[`a ${name}`];
    this.base = get("base");
    this.albedo = get("albedo");
    this.identity = get("identity");
    this.triangles = get("triangles");
    this.look = get("look"); // bits: 1 shines, 2 is within the mouth
    this.start = get("target start");
    this.vertex = get("target vertex");
    this.value = get("target value");
    this.count = this.base.length / 3;
    this.targets = this.start.length - 1;
    this.expressions = facts.blocks.expression.names.length;
    this.joints = facts.blocks.joints.names.length;
    this.components = facts.surface.components;
    this.rig = facts.surface.rig;
    if (this.rig) {
      this.rest = get("bone rest");
      this.weights = get("bone weights");
      this.byExpression = get("bone expression");
      this.byIdentity = get("bone identity");
    }
    this.bones = this.rig ? this.rig.parents.length : 0;
    this.influences = new Float32Array(this.targets);
    this.matrices = new Float32Array(16 * Math.max(1, this.bones)); // column-major, as GL has them
  }

  /** Sets `influences` and `matrices` for a state: expression, joints, gaze (4) and identity (components). */
  pose(state) {
    const { influences, expressions: E, components: K } = this;
    influences.set(state.expression, 0);
    for (let k = 0; k < K; k++) influences[E + k] = state.identity[k] - this.identity[k];
    if (!this.rig || this.rig.kind === "eyes") {
      if (!this.rig || this.joints) influences.set(state.joints, E + K);
      if (!this.rig) return;
    }
    const turns = this.turns(state);
    this.rig.correcting.forEach((bone, c) => {
      for (let i = 0; i < 9; i++) influences[E + K + 9 * c + i] = turns[bone][i] - IDENTITY[i];
    });
    this.chain(this.restOf(state), turns);
  }

  turns(state) {
    const turns = Array.from({ length: this.bones }, () => IDENTITY);
    const angles = Float64Array.from(state.joints);
    for (const [k, ...drive] of this.rig.drives) // an expression may turn joints: jawOpen
      if (state.expression[k]) drive.forEach((x, j) => (angles[j] += state.expression[k] * x));
    this.rig.free.forEach((bone, i) => (turns[bone] = fromVector(...angles.subarray(3 * i, 3 * i + 3))));
    this.rig.eyes.forEach((bone, i) => (turns[bone] = fromGaze(state.gaze[2 * i], state.gaze[2 * i + 1])));
    return turns;
  }

  restOf(state) {
    const rest = Float64Array.from(this.rest), size = rest.length;
    for (let k = 0; k < this.components; k++)
      for (let i = 0; i < size; i++) rest[i] += this.influences[this.expressions + k] * this.byIdentity[k * size + i];
    for (let k = 0; k < this.byExpression.length / size; k++)
      if (state.expression[k])
        for (let i = 0; i < size; i++) rest[i] += state.expression[k] * this.byExpression[k * size + i];
    return rest;
  }

  /** Each bone's matrix: from the surface at rest to where the chain has it. */
  chain(rest, turns) {
    const at = [], turned = [];
    this.rig.parents.forEach((parent, k) => {
      const here = rest.subarray(3 * k, 3 * k + 3);
      if (parent < 0) {
        turned.push(turns[k]);
        at.push([...here]);
      } else {
        turned.push(multiply(turned[parent], turns[k]));
        const from = rest.subarray(3 * parent, 3 * parent + 3);
        const bone = turn(turned[parent], here[0] - from[0], here[1] - from[1], here[2] - from[2]);
        at.push([0, 1, 2].map((i) => at[parent][i] + bone[i]));
      }
      const r = turned[k], moved = turn(r, ...here);
      this.matrices.set(
        [r[0], r[3], r[6], 0, r[1], r[4], r[7], 0, r[2], r[5], r[8], 0, at[k][0] - moved[0], at[k][1] - moved[1],
          at[k][2] - moved[2], 1],
        16 * k,
      );
    });
  }

  /** Vertices of the state that was posed last, as `out` (3 V) has them then. */
  vertices(out = new Float32Array(this.base.length)) {
    const sum = Float64Array.from(this.base);
    for (let t = 0; t < this.targets; t++) {
      const w = this.influences[t];
      if (!w) continue;
      for (let i = this.start[t]; i < this.start[t + 1]; i++) {
        const v = 3 * this.vertex[i];
        for (let a = 0; a < 3; a++) sum[v + a] += w * this.value[3 * i + a];
      }
    }
    out.set(sum);
    const { bones, weights, matrices: m } = this;
    for (let v = 0; bones && v < this.count; v++) {
      const [x, y, z] = [sum[3 * v], sum[3 * v + 1], sum[3 * v + 2]];
      let [p, q, r] = [0, 0, 0];
      for (let b = 0; b < bones; b++) {
        const w = weights[v * bones + b], o = 16 * b;
        if (!w) continue;
        p += w * (m[o] * x + m[o + 4] * y + m[o + 8] * z + m[o + 12]);
        q += w * (m[o + 1] * x + m[o + 5] * y + m[o + 9] * z + m[o + 13]);
        r += w * (m[o + 2] * x + m[o + 6] * y + m[o + 10] * z + m[o + 14]);
      }
      out[3 * v] = p;
      out[3 * v + 1] = q;
      out[3 * v + 2] = r;
    }
    return out;
  }

  /** A target (3 V), whole. */
  target(t) {
    const out = new Float32Array(this.base.length);
    for (let i = this.start[t]; i < this.start[t + 1]; i++)
      out.set(this.value.subarray(3 * i, 3 * i + 3), 3 * this.vertex[i]);
    return out;
  }

  /** Unit normals (3 V) of positions (3 V). */
  normals(positions) {
    const out = new Float32Array(positions.length), t = this.triangles;
    for (let i = 0; i < t.length; i += 3) {
      const [a, b, c] = [3 * t[i], 3 * t[i + 1], 3 * t[i + 2]];
      const ux = positions[b] - positions[a], uy = positions[b + 1] - positions[a + 1], uz = positions[b + 2] - positions[a + 2];
      const vx = positions[c] - positions[a], vy = positions[c + 1] - positions[a + 1], vz = positions[c + 2] - positions[a + 2];
      const nx = uy * vz - uz * vy, ny = uz * vx - ux * vz, nz = ux * vy - uy * vx;
      for (const v of [a, b, c]) {
        out[v] += nx;
        out[v + 1] += ny;
        out[v + 2] += nz;
      }
    }
    for (let i = 0; i < out.length; i += 3) {
      const length = Math.hypot(out[i], out[i + 1], out[i + 2]) || 1;
      out[i] /= length;
      out[i + 1] /= length;
      out[i + 2] /= length;
    }
    return out;
  }
}
