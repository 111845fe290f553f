// What leaves the page: edits as portrait edit --edits reads them, ARKit curves as Live Link Face writes them.
import { clamp } from "./edits.js";

const FORMAT = "video-portraits edits", VERSION = 1;
const PARTS = { expression: "expression", joints: "joints", gaze: "gaze", turn: "head", place: "head" };
const digits = (x) => Number(x.toPrecision(9)); // as many as a float32 needs to come back

export function editsTable(performance, facts) {
  const { name, fingerprint, frames } = facts.track;
  const table = {
    format: FORMAT, version: VERSION, track: { name, fingerprint, frames }, model: facts.model,
    identity: {}, expression: {}, joints: {}, gaze: {}, head: {},
  };
  for (const c of performance.edited) {
    if (c.kind === "identity") table.identity[c.name] = digits(c.values[0]);
    else table[PARTS[c.kind]][c.name] = runs(c);
  }
  return table;
}

/** Successive frames that changed, as {start, values}. */
function runs({ values, original }) {
  const out = [];
  for (let f = 0; f < values.length; f++) {
    if (values[f] === original[f]) continue;
    const last = out[out.length - 1];
    if (last && last.start + last.values.length === f) last.values.push(digits(values[f]));
    else out.push({ start: f, values: [digits(values[f])] });
  }
  return out;
}

/** Curves by channel of a table of edits. Throws an Error that says why it can't be used. */
export function editsOf(table, performance, facts) {
  if (table?.format !== FORMAT || table.version !== VERSION) throw new Error("This isn't a file of edits that this page saved.");
  if (table.track?.fingerprint !== facts.track.fingerprint)
    throw new Error(`These edits are of another track, ${table.track?.name}.`);
  const changes = new Map();
  const take = (kind, name, set) => {
    const channel = performance.byId.get(`${kind} ${name}`);
    if (!channel) throw new Error(`There is no ${kind} ${name} here.`);
    const curve = channel.original.slice();
    set(curve, channel);
    changes.set(channel, curve);
  };
  const fill = (list) => (curve, c) => list.forEach(({ start, values }) => {
    values.forEach((x, i) => {
      if (!(start + i < curve.length) || !Number.isFinite(x)) throw new Error(`${c.name}: frames or values that can't be.`);
      curve[start + i] = clamp(x, c.lower, c.upper);
    });
  });
  for (const part of ["expression", "joints", "gaze"])
    for (const [name, list] of Object.entries(table[part] ?? {})) take(part, name, fill(list));
  for (const [name, list] of Object.entries(table.head ?? {}))
    take(["x", "y", "z"].includes(name) ? "place" : "turn", name, fill(list));
  for (const [name, x] of Object.entries(table.identity ?? {})) take("identity", name, (curve) => (curve[0] = x));
  return changes;
}

/** The columns of facemodel.editing.curves.write_curves. */
export function curvesCsv(performance, facts) {
  const { arkit, angles, swapped } = facts.curves, { seconds, fps } = facts.track;
  const order = arkit.map((n) => swapped[n] ?? n), capital = (n) => n[0].toUpperCase() + n.slice(1);
  const expression = new Map(performance.parts.expression.map((c) => [c.name, c]));
  const own = [...performance.parts.expression.filter((c) => !arkit.includes(c.name)), ...performance.parts.joints];
  const rows = [["Timecode", "BlendShapeCount", ...order.map(capital), ...angles, ...own.map((c) => c.name)]];
  const rate = Math.max(1, Math.round(fps));
  for (let f = 0; f < performance.frames; f++) {
    const { gaze } = performance.state(f);
    const value = (name) => {
      const found = /^eyeLook(In|Out|Up|Down)(Left|Right)$/.exec(name);
      if (found) return look(gaze, ...found.slice(1), facts.curves.full);
      const x = expression.get(name)?.values[f] ?? 0;
      const lid = facts.curves.lids?.names.indexOf(name) ?? -1;
      return lid < 0 ? x : 1 - looseness(performance, f, facts.curves.lids, lid) * (1 - x);
    };
    const turns = performance.parts.turn.map((c) => c.values[f]);
    const eyes = [gaze[0], gaze[1], 0, gaze[2], gaze[3], 0];
    const numbers = [...order.map(value), ...turns, ...eyes, ...own.map((c) => c.values[f])];
    rows.push([timecode(seconds[f], rate), order.length + angles.length, ...numbers.map((x) => x.toFixed(8))]);
  }
  const cell = (x) => (/[",\n]/.test(x) ? `"${String(x).replaceAll('"', '""')}"` : x);
  return rows.map((row) => row.map(cell).join(",")).join("\n") + "\n";
}

function look(gaze, way, side, full) {
  const eye = side === "Right" ? 1 : 0, outward = eye ? -1 : 1;
  const angle = gaze[2 * eye + (way === "Up" || way === "Down" ? 1 : 0)];
  return clamp(({ In: -outward, Out: outward, Up: 1, Down: -1 }[way] * angle) / full[way], 0, 1);
}

/** 0 where lids touch, 1 where they're open enough to be left alone: facemodel.editing.contact. */
function looseness(performance, frame, lids, k) {
  let opening = lids.base[k];
  performance.parts.expression.forEach((c, e) => (opening += c.values[frame] * lids.slopes[k][e]));
  const openness = (opening - lids.zero[k]) / lids.unit[k];
  return clamp((openness - lids.ends[0]) / (lids.ends[1] - lids.ends[0]), 0, 1);
}

function timecode(seconds, rate) {
  const all = Math.round(seconds * rate * 1000), whole = Math.floor(all / (rate * 1000)), rest = all % (rate * 1000);
  const two = (x) => String(x).padStart(2, "0");
  return `${two(Math.floor(whole / 3600))}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}:` +
    `${two(Math.floor(rest / 1000))}.${String(rest % 1000).padStart(3, "0")}`;
}

/** Has the browser keep a file. */
export function download(name, content, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
