// Who is on the stage: the track's head, the one it is compared with, their light and the clip's picture.
import { Clip } from "./clip.js";
import { $, make } from "./controls.js";
import { facts } from "./data.js";
import { Face } from "./face.js";
import { Head } from "./head.js";
import { Performance } from "./performance.js";
import { Stage } from "./stage.js";

const FAR = 4; // mm of difference that has the last colour
const AROUND = 330; // mm about a face, that the clip's window shows

export class View {
  constructor(page, arrays, atlas, redraw) {
    Object.assign(this, { page, arrays, atlas });
    const { track } = facts;
    this.compare = "off"; // original, against
    this.heat = false; // the second head coloured by its distance
    this.held = false; // the first one as it was before the edits
    this.against = facts.against && new Performance(arrays, facts, "b", facts.against.frames);
    this.second = {}; // head's number by what it is compared with
    this.clip = facts.pictures && new Clip(facts.pictures, redraw);
    const size = track && { width: track.width, height: track.height, focal: track.focal };
    const drawPicture = (...where) => this.drawPicture(...where);
    this.stage = new Stage($("stage"), { size, drawPicture, redraw });
    this.stage.add(new Head(new Face(arrays, facts, "a"), atlas));
    if (size) this.lookAtFace();
  }

  /** [state, name, whose light] of each head, the first one's first. */
  people() {
    const { frame, performance } = this.page;
    const people = [[performance.state(frame, this.held ? "original" : "values"), facts.title, "a", this.page.frames]];
    if (this.compare === "original") people.push([performance.state(frame, "original"), "as it was", "a", this.page.frames]);
    if (this.compare === "against") {
      const { name, frames, focal } = facts.against;
      people.push([{ ...this.against.state(frame), focal }, name, "b", frames]);
    }
    return people;
  }

  render() {
    const { stage } = this, people = this.people();
    const several = people.length !== (stage.shown?.length ?? 1);
    stage.shown = people.map((_, k) => (k ? this.secondHead() : 0));
    if (several) stage.fit();
    const states = [], lights = [];
    people.forEach(([state, , who, frames], k) => {
      const head = stage.shown[k], all = this.arrays[`${who} illumination`], f = Math.min(this.page.frame, frames - 1);
      stage.heads[head].pose(state);
      states[head] = state;
      lights[head] = all?.subarray(27 * f, 27 * f + 27);
    });
    this.colorDifference(stage.shown[1]);
    this.caption(stage.render(states, lights), people.map(([, name]) => name));
  }

  /** The number of the head that is compared with, which is made when it is first asked for. */
  secondHead() {
    if (!(this.compare in this.second)) {
      const other = this.compare === "against";
      this.stage.add(new Head(new Face(this.arrays, facts, other ? "b" : "a"), other ? null : this.atlas));
      this.second[this.compare] = this.stage.heads.length - 1;
    }
    return this.second[this.compare];
  }

  colorDifference(second) {
    const { heads } = this.stage, on = this.heat && second !== undefined;
    $("legend").hidden = !on;
    if (second === undefined) return;
    if (!on) return heads[second].heat(null);
    const [a, b] = [heads[0], heads[second]].map((head) => head.face.vertices());
    const off = Float32Array.from({ length: a.length / 3 }, (_, v) =>
      Math.hypot(a[3 * v] - b[3 * v], a[3 * v + 1] - b[3 * v + 1], a[3 * v + 2] - b[3 * v + 2]));
    const mean = off.reduce((sum, d) => sum + d, 0) / off.length;
    heads[second].heat(off.map((d) => d / FAR));
    $("legend").querySelector("b").textContent = `mean ${mean.toFixed(2)} mm`;
  }

  caption(panes, names) {
    const shown = panes.length < 2 ? [] : panes.map(({ head, x, y }) => [head < 0 ? "video" : names[head ? 1 : 0], x, y]);
    const key = JSON.stringify(shown);
    if (key === this.captioned) return;
    this.captioned = key;
    $("captions").replaceChildren(...shown.map(([name, x, y]) => {
      const span = make("span", {}, name);
      span.style.left = `${x + 10}px`;
      span.style.top = `${y + 10}px`;
      return span;
    }));
  }

  drawPicture(context, { x, y, width, height }, seen) {
    const picture = this.clip?.at(this.page.frame), scale = width / seen.width;
    const box = [x - seen.x * scale, y - seen.y * scale, facts.track.width * scale, facts.track.height * scale];
    context.save();
    context.beginPath();
    context.rect(x, y, width, height);
    context.clip();
    context.fillStyle = "#0b0c0d";
    context.fillRect(...box);
    if (picture) context.drawImage(picture, ...box);
    context.restore();
  }

  /** Zooms the clip's window to where the face is, over the clip. */
  lookAtFace() {
    const { width, height, focal } = facts.track, [x, y, z] = this.page.performance.parts.place;
    const middle = (curve) => Float32Array.from(curve).sort()[curve.length >> 1];
    const at = (c) => middle(c.values.map((v, f) => v / z.values[f]));
    const side = Math.min((focal / middle(z.values)) * AROUND, Math.max(width, height));
    this.stage.window.show(width / 2 + focal * at(x), height / 2 + focal * at(y), side);
  }

  /** A channel's curve of the track that is compared with; null where none is. */
  otherCurve(channel) {
    return this.compare === "against" ? this.against.byId.get(channel.id)?.values ?? null : null;
  }

  picture() {
    this.render();
    const { front, back } = this.stage, canvas = make("canvas", { width: front.width, height: front.height });
    const context = canvas.getContext("2d");
    context.fillStyle = "#1d1f22";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(back, 0, 0);
    context.globalAlpha = Number(front.style.opacity);
    context.drawImage(front, 0, 0);
    return canvas;
  }
}
