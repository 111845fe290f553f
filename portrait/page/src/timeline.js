// Time: a ruler with what happened in each frame, and the strip of curves, both over the same frames.
import { clamp } from "./edits.js";
import { $, soon } from "./controls.js";
import { Layer } from "./layer.js";

const PAD = 14; // px at either side
const INK = { text: "#8d929b", line: "#2e3035", faint: "#24262a", head: "#f2f3f5", good: "#4d7f66", doubt: "#e0a03c", none: "#b3534b", range: "#7fb0ff22", edge: "#7fb0ff88", key: "#f0b35a" };

export class Timeline {
  /** page: whose frame, keys, range, pinned curves and colours are shown; act: what the pointer may do (Page.acts). */
  constructor(track, page, act) {
    Object.assign(this, { track, page, act, from: 0, to: Math.max(1, track.frames - 1) });
    this.tool = "seek";
    this.ruler = $("ruler");
    this.curves = $("curves");
    [this.rulerLayer, this.curveLayer] = [new Layer(this.ruler), new Layer(this.curves)];
    this.redraw = soon(() => this.draw());
    new ResizeObserver(this.redraw).observe(this.ruler);
    new ResizeObserver(this.redraw).observe(this.curves);
    for (const canvas of [this.ruler, this.curves]) {
      canvas.addEventListener("pointerdown", (e) => this.down(e, canvas));
      canvas.addEventListener("pointermove", (e) => this.drag && this.drag(e));
      for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => this.up());
      canvas.addEventListener("wheel", (e) => this.wheel(e), { passive: false });
    }
  }

  x(frame, width) {
    return PAD + ((frame - this.from) / (this.to - this.from)) * (width - 2 * PAD);
  }

  frameAt(x, width) {
    return this.from + ((x - PAD) / (width - 2 * PAD)) * (this.to - this.from);
  }

  wheel(e) {
    e.preventDefault();
    const width = this.ruler.clientWidth, span = this.to - this.from, last = Math.max(1, this.track.frames - 1);
    if (e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY)) this.move(((e.deltaX || e.deltaY) / width) * span);
    else {
      const at = this.frameAt(e.offsetX, width), size = clamp(span * Math.exp(e.deltaY * 0.0015), Math.min(8, last), last);
      this.from = clamp(at - ((at - this.from) / span) * size, 0, last - size);
      this.to = this.from + size;
    }
    this.redraw();
  }

  move(by) {
    const last = Math.max(1, this.track.frames - 1), span = this.to - this.from;
    this.from = clamp(this.from + by, 0, last - span);
    this.to = this.from + span;
  }

  /** Keeps a frame in sight. */
  follow(frame) {
    if (frame < this.from || frame > this.to) this.move(frame - (this.from + 0.1 * (this.to - this.from)));
  }

  down(e, canvas) {
    canvas.setPointerCapture(e.pointerId);
    const width = canvas.clientWidth, seek = (e) => this.act.seek(Math.round(this.frameAt(e.offsetX, width)));
    const channel = canvas === this.curves && this.tool !== "seek" ? this.nearest(e) : null;
    if (!channel) {
      this.drag = seek;
      seek(e);
      return;
    }
    const at = (e) => [clamp(Math.round(this.frameAt(e.offsetX, width)), 0, this.track.frames - 1), this.valueAt(channel, e.offsetY)];
    const [frame, value] = at(e);
    const started = channel.values;
    if (this.tool === "draw") {
      const points = new Map([[frame, value]]);
      let last = [frame, value];
      this.act.begin(`Drew ${channel.label}`);
      this.drag = (e) => {
        const [f, v] = at(e), [a, b] = last, steps = Math.abs(f - a);
        for (let i = 0; i <= steps; i++) points.set(a + Math.sign(f - a) * i, steps ? b + ((v - b) * i) / steps : v);
        last = [f, v];
        this.act.draw(channel, started, points);
      };
      this.act.draw(channel, started, points);
    } else {
      this.act.begin(`Pulled ${channel.label}`);
      this.act.seek(frame);
      this.drag = (e) => this.act.bend(channel, started, frame, this.valueAt(channel, e.offsetY) - value);
    }
  }

  up() {
    this.drag = null;
    this.act.end();
  }

  nearest(e) {
    const { pinned } = this.page;
    const frame = clamp(Math.round(this.frameAt(e.offsetX, this.curves.clientWidth)), 0, this.track.frames - 1);
    const off = (c) => Math.abs(this.y(c, c.values[frame]) - e.offsetY);
    return pinned.length ? pinned.reduce((a, b) => (off(b) < off(a) ? b : a)) : null;
  }

  bounds(channel) {
    return channel.shown ?? [channel.lower, channel.upper];
  }

  y(channel, value) {
    const [low, high] = this.bounds(channel), h = this.curves.clientHeight;
    return h - 14 - ((value - low) / (high - low)) * (h - 50);
  }

  valueAt(channel, y) {
    const [low, high] = this.bounds(channel), h = this.curves.clientHeight;
    return clamp(low + ((h - 14 - y) / (h - 50)) * (high - low), channel.lower, channel.upper);
  }

  draw() {
    const { page, from, to } = this, { range, keys, pinned, colors, view } = page;
    this.rulerLayer.draw([from, to, range, keys], (...on) => this.paintRuler(...on), (...on) => this.playhead(...on));
    if (!this.curves.clientHeight) return;
    const curves = pinned.flatMap((c) => [c, c.values, view.otherCurve(c), colors.get(c)]);
    this.curveLayer.draw([from, to, range, ...curves], (...on) => this.paintCurves(...on), (...on) => {
      this.dots(...on);
      this.playhead(...on);
    });
  }

  paintRuler(c, w, h) {
    this.shade(c, w, h);
    const step = tickStep(this.to - this.from, w);
    c.fillStyle = INK.text;
    c.textAlign = "center";
    for (let f = Math.ceil(this.from / step) * step; f <= this.to; f += step) {
      const x = this.x(f, w);
      c.fillRect(Math.round(x), 0, 1, 5);
      c.fillText(f, clamp(x, 10, w - 12), 15);
    }
    this.paintStatus(c, w, h);
    for (const key of this.page.keys) diamond(c, this.x(key, w), 22, 4.5);
  }

  /** A bar a frame, as high as it is to be trusted; of several in one pixel the worst. */
  paintStatus(c, w, h) {
    const { track } = this, width = Math.max(1, (w - 2 * PAD) / (this.to - this.from)), bars = new Map();
    for (const f of this.frames(track.frames)) {
      const label = track.labels[track.status[f]], x = width > 1 ? this.x(f, w) - width / 2 : Math.round(this.x(f, w));
      const rank = label.includes("no_face") ? 2 : label.includes("uncertain") ? 1 : 0;
      const bar = bars.get(x) ?? { rank: 0, confidence: 1 };
      bars.set(x, {
        rank: Math.max(bar.rank, rank), confidence: Math.min(bar.confidence, track.confidence[f]),
        cut: bar.cut || (f > 0 && label.includes("cut")),
      });
    }
    for (const [x, { rank, confidence, cut }] of bars) {
      const height = rank === 2 ? 4 : 4 + 8 * confidence;
      c.fillStyle = [INK.good, INK.doubt, INK.none][rank];
      c.globalAlpha = rank ? 1 : 0.35 + 0.65 * confidence;
      c.fillRect(x, h - 4 - height, width + 0.5, height);
      c.globalAlpha = 1;
      c.fillStyle = INK.text;
      if (cut) c.fillRect(x, 18, 1, h - 20);
    }
  }

  paintCurves(c, w, h) {
    this.shade(c, w, h);
    const { pinned, colors, view } = this.page;
    c.strokeStyle = INK.faint;
    for (const share of [0, 0.5, 1]) {
      const y = Math.round(h - 14 - share * (h - 50)) + 0.5;
      stroke(c, [[PAD, y], [w - PAD, y]]);
    }
    if (!pinned.length) {
      c.fillStyle = INK.text;
      c.textAlign = "center";
      c.fillText("Click a slider's name to see its curve; then draw or pull it here.", w / 2, h / 2 + 4);
    }
    for (const channel of pinned) {
      const color = colors.get(channel), other = view.otherCurve(channel);
      if (other) this.curve(c, w, channel, other, color, [2, 4], 0.8);
      if (channel.values !== channel.original) this.curve(c, w, channel, channel.original, color, [], 0.35);
      this.curve(c, w, channel, channel.values, color, [], 1);
    }
  }

  /** Where the curves are in the frame that is shown. */
  dots(c, w) {
    const { pinned, colors, frame } = this.page;
    for (const channel of pinned) {
      c.fillStyle = colors.get(channel);
      c.beginPath();
      c.arc(this.x(frame, w), this.y(channel, channel.values[frame]), 3.5, 0, 7);
      c.fill();
    }
  }

  /** A line through all values; where several are in one pixel, from the lowest to the highest of them. */
  curve(c, w, channel, values, color, dash, alpha) {
    const points = [], dense = this.to - this.from > 2 * w;
    for (const f of this.frames(values.length)) {
      const x = this.x(f, w), y = this.y(channel, values[f]), last = points[points.length - 1];
      if (!dense) points.push([x, y]);
      else if (!last || Math.round(x) > last[0]) points.push([Math.round(x), y], [Math.round(x), y]);
      else {
        const first = points[points.length - 2];
        first[1] = Math.min(first[1], y);
        last[1] = Math.max(last[1], y);
      }
    }
    c.strokeStyle = color;
    c.globalAlpha = alpha;
    c.lineWidth = 1.6;
    c.setLineDash(dash);
    stroke(c, points);
    c.setLineDash([]);
    c.globalAlpha = 1;
    c.lineWidth = 1;
  }

  /** The frames in sight, of so many. */
  *frames(count) {
    for (let f = Math.max(0, Math.floor(this.from)); f <= Math.min(count - 1, Math.ceil(this.to)); f++) yield f;
  }

  shade(c, w, h) {
    const { range } = this.page;
    if (!range) return;
    const [a, b] = [this.x(range[0] - 0.5, w), this.x(range[1] + 0.5, w)];
    c.fillStyle = INK.range;
    c.fillRect(a, 0, b - a, h);
    c.fillStyle = INK.edge;
    c.fillRect(a, 0, 1, h);
    c.fillRect(b - 1, 0, 1, h);
  }

  playhead(c, w, h) {
    const x = Math.round(this.x(this.page.frame, w));
    c.fillStyle = INK.head;
    c.fillRect(x - 0.5, 0, 1.5, h);
    c.beginPath();
    c.moveTo(x - 5, 0);
    c.lineTo(x + 5.5, 0);
    c.lineTo(x + 0.25, 7);
    c.fill();
  }
}

function stroke(c, points) {
  c.beginPath();
  points.forEach(([x, y], i) => (i ? c.lineTo(x, y) : c.moveTo(x, y)));
  c.stroke();
}

function diamond(c, x, y, r) {
  c.fillStyle = INK.key;
  c.beginPath();
  c.moveTo(x, y - r);
  c.lineTo(x + r, y);
  c.lineTo(x, y + r);
  c.lineTo(x - r, y);
  c.fill();
}

function tickStep(span, width) {
  const least = (span * 60) / width;
  for (let step = 1; ; step *= 10) for (const k of [1, 2, 5]) if (k * step >= least) return k * step;
}
