// What a face does over a clip: a channel for each coefficient, its curve, and the curve it had at first.
import { fromAngles, fromVector, toAngles } from "./rotation.js";

const DEGREES = 180 / Math.PI;
export const GAZE = ["left yaw", "left pitch", "right yaw", "right pitch"];
export const TURNS = ["yaw", "pitch", "roll"];
export const PLACE = ["x", "y", "z"];

/** Groups of the panel, by what an expression's name begins with. */
const GROUPS = [
  ["Brows", /^brow/i], ["Eyes", /^eye/i], ["Jaw", /^jaw/i], ["Mouth", /^(mouth|lip)/i], ["Cheeks", /^cheek/i],
  ["Nose", /^nose/i], ["Tongue", /^tongue/i],
];

export class Performance {
  /** frames: how many; who: whose arrays; blocks: as portrait/page/surface.py names coefficients. */
  constructor(arrays, facts, who, frames) {
    this.frames = frames;
    this.channels = [];
    const { expression, joints } = facts.blocks;
    const get = (name) => arrays[`${who} ${name}`];
    const column = (name, width, k) => {
      const all = get(name);
      return Float32Array.from({ length: frames }, (_, f) => all[f * width + k]);
    };
    expression.names.forEach((name, k) =>
      this.add("expression", name, k, column("expression", expression.names.length, k), {
        group: (GROUPS.find(([, pattern]) => pattern.test(name)) ?? ["Expression"])[0],
        ...bounds(expression, k), rest: expression.rest[k],
      }));
    joints.names.forEach((name, k) =>
      this.add("joints", name, k, column("joints", joints.names.length, k), {
        group: "Joints", unit: "°", scale: DEGREES, ...bounds(joints, k), rest: joints.rest[k],
      }));
    if (facts.gaze)
      GAZE.forEach((name, k) =>
        this.add("gaze", name, k, column("gaze", 4, k), {
          group: "Gaze", unit: "°", scale: DEGREES, lower: -Math.PI / 3, upper: Math.PI / 3, rest: 0,
          shown: [-40 / DEGREES, 40 / DEGREES],
        }));
    if (get("rotation")) this.addHead(get("rotation"), get("translation"));
    for (let k = 0; k < facts.surface.components; k++)
      this.add("identity", facts.blocks.identity[k], k, get("identity").slice(k, k + 1), {
        group: "Identity", unit: "σ", lower: -6, upper: 6, rest: 0, shown: [-3, 3],
      });
    this.byId = new Map(this.channels.map((c) => [c.id, c]));
    this.of = (kind) => this.channels.filter((c) => c.kind === kind);
    this.parts = Object.fromEntries(["expression", "joints", "gaze", "turn", "place", "identity"].map((k) => [k, this.of(k)]));
  }

  add(kind, name, index, values, more) {
    const label = { gaze: name.replace(/^\w/, (c) => c.toUpperCase()), turn: name, place: name }[kind] ?? name;
    this.channels.push({
      id: `${kind} ${name}`, kind, name, label, index, values, original: values.slice(), unit: "", scale: 1, rest: 0, ...more,
    });
  }

  addHead(rotation, translation) {
    const angles = TURNS.map(() => new Float32Array(this.frames));
    for (let f = 0; f < this.frames; f++)
      toAngles(fromVector(...rotation.subarray(3 * f, 3 * f + 3))).forEach((angle, k) => (angles[k][f] = angle));
    TURNS.forEach((name, k) =>
      this.add("turn", name, k, angles[k], {
        group: "Head", unit: "°", scale: DEGREES, lower: -Math.PI, upper: Math.PI, shown: [-60 / DEGREES, 60 / DEGREES],
      }));
    PLACE.forEach((name, k) => {
      const values = Float32Array.from({ length: this.frames }, (_, f) => translation[3 * f + k]);
      const [low, high] = [Math.min(...values), Math.max(...values)];
      this.add("place", name, k, values, {
        group: "Head", unit: " mm", lower: k === 2 ? 1 : -1e6, upper: 1e6, shown: [low - 100, high + 100],
      });
    });
  }

  /** The state of a frame; which: "values", or "original" as it was before any edit. */
  state(frame, which = "values") {
    const at = (c) => c[which][c[which].length > 1 ? Math.min(frame, this.frames - 1) : 0];
    const row = (kind) => Float32Array.from(this.parts[kind], at);
    const [turns, place] = [row("turn"), row("place")];
    return {
      expression: row("expression"), joints: row("joints"), identity: row("identity"),
      gaze: this.parts.gaze.length ? row("gaze") : new Float32Array(4),
      rotation: turns.length ? fromAngles(...turns) : fromAngles(0, 0, 0),
      translation: place.length ? place : Float32Array.of(0, 0, 800),
    };
  }

  get edited() {
    return this.channels.filter(isEdited);
  }

  /** The channel of the other side: mouthLeft of mouthRight, left yaw of right yaw; itself where it has none. */
  mirror(channel) {
    const swap = { Left: "Right", Right: "Left", left: "right", right: "left", L: "R", R: "L" };
    const name = channel.name.replace(/(Left|Right|left|right|_[LR]\b)/, (s) => (s[0] === "_" ? `_${swap[s[1]]}` : swap[s]));
    return this.byId.get(`${channel.kind} ${name}`) ?? channel;
  }
}

export function isEdited(channel) {
  const { values, original } = channel;
  for (let f = 0; f < values.length; f++) if (values[f] !== original[f]) return true;
  return false;
}

function bounds(block, k) {
  const [lower, upper, rest, std] = ["lower", "upper", "rest", "std"].map((n) => block[n][k]);
  const spread = 3 * (std ?? 1);
  return {
    lower: lower ?? -1e6, upper: upper ?? 1e6, shown: [lower ?? rest - spread, upper ?? rest + spread],
  };
}
