// Changes of curves, as pure functions: from channels to new curves by channel. Nothing here knows the page.
const FULL = { In: 0.6109, Out: 0.6109, Up: 0.5236, Down: 0.5236 }; // radians at which ARKit's eyeLook is 1

export const clamp = (x, low, high) => Math.min(high, Math.max(low, x));
const within = (c, x) => clamp(x, c.lower, c.upper);

/** Weights of an edit at a frame, [first, Float32Array]: 1 there, fading over `reach` frames, never past a key. */
export function falloff(frames, frame, reach, keys, range) {
  const [from, to] = range ?? [0, frames - 1];
  const before = keys.filter((k) => k < frame), after = keys.filter((k) => k > frame);
  const low = Math.max(frame - reach - 1, ...before), high = Math.min(frame + reach + 1, ...after);
  const out = new Float32Array(frames);
  for (let f = Math.max(0, from); f <= Math.min(frames - 1, to); f++) {
    const end = f < frame ? low : high;
    out[f] = Number.isFinite(end) ? smoothstep(clamp((f - end) / (frame - end), 0, 1)) : 1;
  }
  out[frame] = 1;
  return out;
}

const smoothstep = (x) => x * x * (3 - 2 * x);

/** The curve moved by `delta` as far as `weights` say. */
export function moved(channel, from, weights, delta) {
  if (channel.values.length === 1) return Float32Array.of(within(channel, from[0] + delta));
  return from.map((x, f) => (weights[f] ? within(channel, x + weights[f] * delta) : x));
}

/** The curve with these values, a Map of frame to value. */
export function drawn(channel, from, points) {
  const out = from.slice();
  points.forEach((x, f) => (out[f] = within(channel, x)));
  return out;
}

const inRange = (range, length) => (length === 1 ? [0, 0] : range);

export function neutral(channel, range) {
  const [a, b] = inRange(range, channel.values.length);
  return channel.values.map((x, f) => (f >= a && f <= b ? channel.rest : x));
}

export function restored(channel, range) {
  const [a, b] = inRange(range, channel.values.length);
  return channel.values.map((x, f) => (f >= a && f <= b ? channel.original[f] : x));
}

export function scaled(channel, range, factor) {
  const [a, b] = inRange(range, channel.values.length);
  return channel.values.map((x, f) => (f >= a && f <= b ? within(channel, channel.rest + factor * (x - channel.rest)) : x));
}

/** By Savitzky and Golay: a parabola through each window, which stays within a shot and the range. */
export function smoothed(channel, range, window, shots) {
  const out = channel.values.slice();
  for (const [first, last] of shots) {
    const a = Math.max(first, range[0]), b = Math.min(last, range[1]);
    const size = Math.min(window, b - a + 1 - ((b - a + 1) % 2 ? 0 : 1));
    if (size < 5) continue;
    for (let f = a; f <= b; f++) {
      const start = clamp(f - (size >> 1), a, b - size + 1);
      out[f] = within(channel, parabola(channel.values, start, size, f));
    }
  }
  return out;
}

/** The value at frame f of the parabola nearest to values[start .. start + size - 1]. */
function parabola(values, start, size, f) {
  const half = (size - 1) / 2;
  let [s0, s1, s2, q2, q4] = [0, 0, 0, 0, 0];
  for (let i = 0; i < size; i++) {
    const t = i - half, y = values[start + i];
    s0 += y;
    s1 += y * t;
    s2 += y * t * t;
    q2 += t * t;
    q4 += t ** 4;
  }
  const c = (s2 - (q2 / size) * s0) / (q4 - (q2 * q2) / size), t = f - start - half;
  return (s0 - c * q2) / size + (s1 / q2) * t + c * t * t;
}

/** The face seen in a mirror: sides swapped, the head's yaw and roll and the eyes' yaw the other way. */
export function mirrored(performance, channels, range) {
  const changes = new Map();
  for (const c of channels) {
    const other = performance.mirror(c);
    const flips = c.kind === "turn" ? c.name !== "pitch" : c.kind === "gaze" && c.name.endsWith("yaw");
    const sign = flips ? -1 : 1;
    if (other === c && !flips) continue;
    changes.set(c, c.values.map((x, f) => (f >= range[0] && f <= range[1] ? within(c, sign * other.values[f]) : x)));
  }
  return changes;
}

/** New curves of the eyeLook shapes, which follow the gaze in all frames in which it changed. */
export function coupledLids(performance, changes) {
  const gaze = performance.parts.gaze, out = new Map();
  if (!gaze.some((c) => changes.has(c))) return out;
  const now = gaze.map((c) => changes.get(c) ?? c.values);
  for (const c of performance.parts.expression) {
    const found = /^eyeLook(In|Out|Up|Down)(Left|Right)$/.exec(c.name);
    if (!found) continue;
    const [, way, side] = found, eye = side === "Right" ? 1 : 0;
    const sideways = way === "In" || way === "Out";
    const outward = eye ? -1 : 1, sign = { In: -outward, Out: outward, Up: 1, Down: -1 }[way];
    const curve = 2 * eye + (sideways ? 0 : 1);
    out.set(c, c.values.map((x, f) =>
      gaze.some((g, k) => now[k][f] !== g.values[f]) ? clamp((sign * now[curve][f]) / FULL[way], 0, 1) : x));
  }
  return out;
}
