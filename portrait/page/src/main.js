// The page: reads its data, puts the parts together, and holds what they share (frame, range, keys, what is shown).
import { Clip } from "./clip.js";
import { $, choice, make, say, soon, toggle } from "./controls.js";
import { facts, readArrays } from "./data.js";
import { drawn, falloff, mirrored, moved, neutral, restored, scaled, smoothed } from "./edits.js";
import { Face } from "./face.js";
import { Head } from "./head.js";
import { History } from "./history.js";
import { listen } from "./keys.js";
import { Panel } from "./panel.js";
import { Performance } from "./performance.js";
import { curvesCsv, download, editsOf, editsTable } from "./save.js";
import { connect } from "./server.js";
import { Stage } from "./stage.js";
import { Timeline } from "./timeline.js";
import { tour } from "./tour.js";

const COLORS = ["#7fb0ff", "#f28f7d", "#8fd08a", "#d9a7ff", "#f2cf6b", "#6fd3cf", "#f59ac1", "#b3b9c4"];
const FAR = 4; // mm of difference that has the last colour

start().catch((error) => stop("This page can't be shown.", String(error?.message ?? error)));

async function start() {
  $("title").textContent = facts.title;
  $("subtitle").textContent = facts.subtitle;
  const context = document.createElement("canvas").getContext("webgl2");
  if (!context) {
    const why = "It draws the head with WebGL 2, which this browser doesn't have or has switched off. Open the file in a current Chrome, Edge, Firefox or Safari with hardware acceleration on.";
    return stop("No WebGL here.", why);
  }
  context.getExtension("WEBGL_lose_context")?.loseContext();
  const arrays = await readArrays();
  const page = new Page(arrays, await atlasOf(arrays));
  window.portrait = page; // for tests, and for who is curious
  document.body.classList.remove("loading");
  page.refresh();
}

function stop(title, why) {
  document.body.classList.remove("loading");
  document.body.classList.add("stopped");
  $("stop").hidden = false;
  $("stop").replaceChildren(make("strong", {}, title), make("p", {}, why));
}

class Page {
  constructor(arrays, atlas) {
    const { track } = facts;
    document.body.classList.toggle("no-track", !track);
    this.frames = track?.frames ?? 1;
    Object.assign(this, { arrays, frame: 0, playing: false, keys: [], range: null, reach: "soft", pinned: [], colors: new Map() });
    this.track = track && { ...track, status: arrays["a status"], confidence: arrays["a confidence"] };
    this.performances = [new Performance(arrays, facts, "a", this.frames)];
    this.performance = this.performances[0];
    this.faces = [new Face(arrays, facts, "a"), new Face(arrays, facts, "a")]; // the second one for comparing
    if (facts.against) {
      this.performances[1] = new Performance(arrays, facts, "b", facts.against.frames);
      this.faces[2] = new Face(arrays, facts, "b");
    }
    this.shots = shotsOf(this.track);
    this.atlas = atlas;
    this.redraw = soon(() => this.render());
    this.refresh = soon(() => this.showAll());
    this.history = new History(this.performance, () => this.refresh());
    this.clip = facts.pictures && new Clip(facts.pictures, () => this.redraw());
    const size = track && { width: track.width, height: track.height, focal: track.focal };
    this.stage = new Stage($("stage"), { size, drawPicture: (...where) => this.drawPicture(...where), redraw: () => this.redraw() });
    this.stage.add(new Head(this.faces[0], atlas));
    if (size) this.lookAtFace();
    this.compare = "off";
    this.heat = false;
    this.panel = new Panel(this.performance, this.acts());
    if (track) this.timeline = new Timeline(this.track, this.looks(), this.acts());
    this.wire();
    connect(this);
  }

  // -- what is drawn ------------------------------------------------------------------------------------------------

  /** The states of the heads on the stage, and what they are called. */
  people() {
    const state = (k, which) => ({ ...this.performances[k].state(this.frame, which), focal: k ? facts.against.focal : undefined });
    const people = [[state(0), facts.title]];
    if (this.compare === "original") people.push([state(0, "original"), "as it was"]);
    if (this.compare === "against") people.push([state(1), facts.against.name]);
    return people;
  }

  render() {
    const { stage } = this, people = this.people();
    const light = (who, frames) => {
      const all = this.arrays[`${who} illumination`], f = Math.min(this.frame, frames - 1);
      return all && all.subarray(27 * f, 27 * f + 27);
    };
    const lights = [light("a", this.frames)];
    if (this.compare !== "off") {
      const against = this.compare === "against", slot = this.compareHead(against);
      stage.heads[slot].pose(people[1][0]);
      stage.shown = [0, slot];
      lights[slot] = against ? light("b", facts.against.frames) : lights[0];
      people[slot] = people[1];
    } else stage.shown = [0];
    stage.heads[0].pose(this.held ? this.performance.state(this.frame, "original") : people[0][0]);
    this.colorDifference(stage.shown[1]);
    const panes = stage.render(people.map((p) => p?.[0]), lights);
    this.captions(panes, people);
  }

  /** The number of the second head, which is made when it is first asked for. */
  compareHead(against) {
    const name = against ? "againstHead" : "originalHead";
    if (!this[name]) {
      this.stage.add(new Head(this.faces[against ? 2 : 1], against ? null : this.atlas));
      this[name] = this.stage.heads.length - 1;
    }
    return this[name];
  }

  colorDifference(other) {
    const { heads } = this.stage, on = this.heat && other !== undefined;
    $("legend").hidden = !on;
    heads[0].heat(null);
    if (other === undefined) return;
    if (!on) return heads[other].heat(null);
    const [a, b] = [heads[0], heads[other]].map((h) => h.face.vertices());
    const off = new Float32Array(a.length / 3);
    let sum = 0;
    for (let v = 0; v < off.length; v++) {
      const i = 3 * v, d = Math.hypot(a[i] - b[i], a[i + 1] - b[i + 1], a[i + 2] - b[i + 2]);
      sum += d;
      off[v] = d / FAR;
    }
    heads[other].heat(off);
    $("legend").querySelector("b").textContent = `mean ${(sum / off.length).toFixed(2)} mm`;
  }

  captions(panes, people) {
    const several = panes.length > 1, texts = panes.map(({ head }) => (head < 0 ? "video" : people[head][1]));
    const key = several ? JSON.stringify([panes, texts]) : "";
    if (key === this.captioned) return;
    this.captioned = key;
    $("captions").replaceChildren(...(several ? panes : []).map(({ x, y }, k) => {
      const span = make("span", {}, texts[k]);
      span.style.left = `${x + 10}px`;
      span.style.top = `${y + 10}px`;
      return span;
    }));
  }

  drawPicture(context, { x, y, width, height }, seen) {
    const picture = this.clip?.at(this.frame);
    context.save();
    context.beginPath();
    context.rect(x, y, width, height);
    context.clip();
    const scale = width / seen.width, { width: w, height: h } = this.track;
    const box = [x - seen.x * scale, y - seen.y * scale, w * scale, h * scale];
    context.fillStyle = "#0b0c0d";
    context.fillRect(...box);
    if (picture) context.drawImage(picture, ...box);
    context.restore();
  }

  /** Zooms the clip's window to where the face is over the clip. */
  lookAtFace() {
    const { width, height, focal } = this.track, [x, y, z] = this.performance.parts.place;
    const middle = (curve) => Float32Array.from(curve).sort()[curve.length >> 1];
    const at = (c) => middle(c.values.map((v, f) => v / z.values[f]));
    const side = Math.min((focal / middle(z.values)) * 330, Math.max(width, height));
    this.stage.window.show(width / 2 + focal * at(x), height / 2 + focal * at(y), side);
  }

  showAll() {
    const { track, frame } = this;
    this.redraw();
    const other = this.compare === "against" ? (c) => this.otherCurve(c)?.[Math.min(frame, this.otherCurve(c).length - 1)] : null;
    this.panel.show(frame, other, this.colors);
    $("undo").disabled = !this.history.done.length;
    $("redo").disabled = !this.history.undone.length;
    if (!track) return;
    this.timeline.redraw();
    if (document.activeElement !== $("frame")) $("frame").value = frame;
    $("time").textContent = `${track.seconds[frame].toFixed(2)} s`;
    const status = track.labels[track.status[frame]];
    $("status").textContent = `${status.replaceAll("_", " ").replaceAll("+", ", ")} · ${track.confidence[frame].toFixed(2)}`;
    $("status").title = "Status of the frame, and how far the fit is to be trusted, 0 to 1";
    $("status").style.setProperty("--mark", status.includes("no_face") ? "#e0685e" : status.includes("uncertain") ? "#e2a33f" : "#5f9f7d");
    $("key").classList.toggle("on", this.keys.includes(frame));
    const on = this.pinned.length ? this.pinned.map((c) => c.label).join(", ") : "all expressions";
    $("scope").textContent = `${on} · ${this.range ? `frames ${this.range.join(" to ")}` : "whole clip"}`;
  }

  otherCurve(channel) {
    return this.compare === "against" ? this.performances[1].byId.get(channel.id)?.values : null;
  }

  // -- what is done -------------------------------------------------------------------------------------------------

  seek(frame) {
    this.frame = Math.min(this.frames - 1, Math.max(0, Math.round(frame)));
    this.timeline?.follow(this.frame);
    this.refresh();
  }

  play(on = !this.playing) {
    if (!this.track || this.frames < 2) return this.tour();
    this.playing = on;
    document.body.classList.toggle("playing", on);
    $("play").setAttribute("aria-label", on ? "Pause" : "Play");
    if (!on) return;
    const { seconds } = this.track, [first, last] = this.range ?? [0, this.frames - 1];
    if (this.frame >= last || this.frame < first) this.seek(first);
    const began = performance.now() / 1000 - seconds[this.frame];
    let shown = this.frame;
    const step = () => {
      if (!this.playing) return;
      if (this.frame !== shown) return this.play(true); // somebody sought
      const now = performance.now() / 1000 - began;
      let next = this.frame;
      while (next < last && seconds[next + 1] <= now) next++;
      if (next === last && now > seconds[last] + 1 / this.track.fps) {
        this.seek(first);
        return this.play(true);
      }
      if (next !== this.frame) this.seek(next);
      shown = this.frame;
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  tour() {
    this.endTour = this.endTour ? this.endTour() : tour(this);
  }

  /** Weights of an edit at the frame that is shown. */
  weights(frame = this.frame) {
    const soft = Math.max(1, Math.round((this.track?.fps ?? 30) * 0.2));
    return falloff(this.frames, frame, { frame: 0, soft, clip: Infinity }[this.reach], this.keys, this.range);
  }

  /** The channels that an edit of one moves: itself, and the other side's. */
  sides(channel) {
    const other = $("both").checked && channel.kind !== "identity" ? this.performance.mirror(channel) : channel;
    return other === channel ? [channel] : [channel, other];
  }

  /** New curves that put a channel to a value in this frame. */
  toValue(channel, value, started) {
    const changes = new Map(), weights = this.weights();
    const flips = channel.kind === "gaze" && false;
    for (const c of this.sides(channel)) {
      const from = started?.get(c) ?? c.values, at = from.length > 1 ? this.frame : 0;
      changes.set(c, moved(c, from, weights, (flips ? -value : value) - from[at]));
    }
    return changes;
  }

  acts() {
    return {
      begin: (what) => {
        this.pause();
        this.started = new Map(this.performance.channels.map((c) => [c, c.values]));
        this.history.begin(typeof what === "string" ? what : what.label);
      },
      drag: (channel, value) => {
        if (!this.history.open) this.acts().begin(channel); // by the keyboard
        this.history.change(this.toValue(channel, value, this.started));
      },
      end: () => this.history.commit(),
      set: (channel, value) => this.history.apply(channel.label, this.toValue(channel, value)),
      restore: (channel) => {
        const at = channel.original.length > 1 ? this.frame : 0;
        this.history.apply(`${channel.label} as it was`, this.toValue(channel, channel.original[at]));
      },
      pin: (channel) => this.pin(channel),
      refresh: () => this.refresh(),
      seek: (frame) => this.seek(frame),
      draw: (channel, started, points) => this.history.change(new Map([[channel, drawn(channel, started, points)]])),
      bend: (channel, started, frame, delta) =>
        this.history.change(new Map([[channel, moved(channel, started, this.weights(frame), delta)]])),
    };
  }

  looks() {
    return {
      frame: () => this.frame,
      keys: () => this.keys,
      range: () => this.range,
      pinned: () => this.pinned.map((channel) => ({ channel, color: this.colors.get(channel) })),
      other: (channel) => this.otherCurve(channel),
    };
  }

  pause() {
    if (this.playing) this.play(false);
    if (this.endTour) this.tour();
  }

  pin(channel) {
    if (channel.values.length < 2) return;
    if (this.pinned.includes(channel)) {
      this.pinned = this.pinned.filter((c) => c !== channel);
      this.colors.delete(channel);
    } else {
      const free = COLORS.find((color) => ![...this.colors.values()].includes(color));
      if (!free) return say(`At most ${COLORS.length} curves at a time`);
      this.pinned.push(channel);
      this.colors.set(channel, free);
      if ($("strip").hidden) this.showCurves(true);
    }
    $("pinned").replaceChildren(...this.pinned.map((c) => {
      const button = make("button", { title: "Hide this curve", onclick: () => this.pin(c) }, `${c.label} ×`);
      button.style.setProperty("--pin", this.colors.get(c));
      return button;
    }));
    this.refresh();
  }

  showCurves(on = $("strip").hidden) {
    $("strip").hidden = !on;
    $("curves-on").classList.toggle("on", on);
    this.refresh();
  }

  toggleKey() {
    this.keys = this.keys.includes(this.frame) ? this.keys.filter((k) => k !== this.frame) : [...this.keys, this.frame];
    say(this.keys.includes(this.frame) ? "Key set: edits fade out towards it" : "Key taken away");
    this.refresh();
  }

  setRange(end) {
    if (end === null) this.range = null;
    else {
      const range = this.range ?? [0, this.frames - 1];
      range[end] = this.frame;
      this.range = range[0] <= range[1] ? [...range] : [this.frame, this.frame];
    }
    this.refresh();
  }

  /** Applies an operation to the pinned curves, or to all that it's usually for, within the range. */
  operate(label, make) {
    this.pause();
    const { performance } = this, usual = ["expression", "joints", "gaze"];
    const moves = [...usual, "turn", "place"];
    const kinds = { Mirrored: [...usual, "turn"], Smoothed: moves, "As it was": [...moves, "identity"] }[label] ?? ["expression", "joints"];
    const channels = this.pinned.length ? this.pinned : performance.channels.filter((c) => kinds.includes(c.kind));
    this.history.apply(label, make(channels, this.range ?? [0, this.frames - 1]));
    say(`${label}: ${this.pinned.length ? channels.map((c) => c.label).join(", ") : "the whole face"}`);
  }

  undo(back = true) {
    const label = back ? this.history.undo() : this.history.redo();
    say(label ? `${back ? "Undone" : "Redone"}: ${label}` : `Nothing to ${back ? "undo" : "redo"}`);
  }

  // -- files --------------------------------------------------------------------------------------------------------

  saveEdits() {
    if (!facts.track) return;
    if (!this.performance.edited.length) return say("Nothing was edited yet");
    download(`${facts.file}.edits.json`, JSON.stringify(editsTable(this.performance, facts)) + "\n", "application/json");
    this.saved = this.history.done.length;
  }

  async openEdits(file) {
    try {
      const changes = editsOf(JSON.parse(await file.text()), this.performance, facts);
      this.history.apply(`Opened ${file.name}`, changes);
      say(`${file.name}: ${changes.size} curves`);
    } catch (error) {
      say(error instanceof SyntaxError ? `${file.name} isn't JSON` : error.message);
    }
  }

  savePicture() {
    this.render();
    const { front, back } = this.stage, canvas = make("canvas", { width: front.width, height: front.height });
    const context = canvas.getContext("2d");
    context.fillStyle = "#1d1f22";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(back, 0, 0);
    context.globalAlpha = Number(front.style.opacity);
    context.drawImage(front, 0, 0);
    canvas.toBlob((blob) => download(`${facts.file}.${this.frame}.png`, blob));
  }

  // -- buttons ------------------------------------------------------------------------------------------------------

  wire() {
    const { stage } = this;
    if (this.track) this.wireTrack();
    const tools = [];
    const still = toggle("Hold still", "The head's own turns are left out (H)", false, (on) => { stage.still = on; this.redraw(); });
    if (this.track) tools.push(still);
    if (!this.track && this.performance.channels.length)
      tools.push(make("button", { id: "tour", title: "Each coefficient in turn (Space)", onclick: () => this.tour() }, "Show each"));
    const front = make("button", { title: "From the front again (F)", onclick: () => this.front() }, "Front");
    tools.push(front);
    const whole = toggle("Whole frame", "All of the frame, or the face alone", false, (on) => {
      if (on) stage.window.whole();
      else this.lookAtFace();
      this.redraw();
    });
    const strength = make("label", {}, "head", make("input", {
      type: "range", min: 0, max: 1, step: 0.01, value: stage.strength, "aria-label": "Strength of the head",
      oninput: (e) => { stage.strength = Number(e.target.value); this.redraw(); },
    }));
    const fitted = toggle("Fitted light", "The light that was found in the clip", false, (on) => {
      stage.light = on ? "fitted" : "studio";
      this.redraw();
    });
    const heat = toggle("Difference", "Colours the second head by how far it is from the first", false, (on) => { this.heat = on; this.redraw(); });
    this.tools = { still, front, whole, strength, fitted, heat };
    if (this.arrays["a illumination"]) tools.push(fitted);
    if (this.track) tools.push(whole, strength, heat);
    $("tools").replaceChildren(...tools);
    this.showTools();
    const over = [["free", "Free", "From any side"], ["over", "Over video", "Through the clip's camera, over its picture"]];
    const besides = [...over, ["beside", "Beside", "Picture and head side by side"]];
    const modes = this.clip ? besides : [over[0], ["over", "Camera", "Through the clip's camera"]];
    if (this.track) this.setMode = choice($("view"), modes, "free", (mode) => this.view(mode));
    else $("view").hidden = true;
    this.saveMenu();
    $("undo").onclick = () => this.undo();
    $("redo").onclick = () => this.undo(false);
    $("help").onclick = () => $("keys").showModal();
    listen(this);
    document.addEventListener("click", (e) => { if (!$("save").contains(e.target)) $("save").open = false; });
    window.addEventListener("beforeunload", (e) => {
      if (facts.track && this.performance.edited.length && this.saved !== this.history.done.length) e.preventDefault();
    });
    if (facts.notes.length) say(facts.notes.join(" "));
  }

  wireTrack() {
    choice($("reach"), [
      ["frame", "Frame", "This frame alone"], ["soft", "Soft", "0.2 s before and after, fading"], ["clip", "Clip", "The whole clip, up to its keys"],
    ], this.reach, (reach) => (this.reach = reach));
    choice($("tool"), [
      ["seek", "Seek", "The pointer moves through time"], ["draw", "Draw", "Draws the nearest curve by hand"], ["pull", "Pull", "Pulls the nearest curve up and down"],
    ], "seek", (tool) => (this.timeline.tool = tool));
    const { frames } = this;
    $("frames").textContent = `of ${frames}`;
    $("frame").onchange = () => { this.pause(); this.seek(Number($("frame").value) || 0); $("frame").blur(); };
    $("play").onclick = () => this.play();
    $("first").onclick = () => this.seek(0);
    $("last").onclick = () => this.seek(frames - 1);
    $("key").onclick = () => this.toggleKey();
    $("curves-on").onclick = () => this.showCurves();
    this.showCurves(window.innerWidth > 760);
    const each = (f) => (channels, range) => new Map(channels.map((c) => [c, f(c, range)]));
    const amount = (id, low, high) => Math.min(high, Math.max(low, Number($(id).value.replace(",", ".")) || 0));
    $("neutral").onclick = () => this.operate("Neutral", each(neutral));
    $("restore").onclick = () => this.operate("As it was", each(restored));
    $("mirror").onclick = () => this.operate("Mirrored", (channels, range) => mirrored(this.performance, this.withSides(channels), range));
    $("scale").onclick = () => this.operate("Scaled", each((c, range) => scaled(c, range, amount("scale-by", -10, 10))));
    $("smooth").onclick = () => {
      const window = Math.round(amount("smooth-by", 0, 60) * this.track.fps), odd = window + 1 - (window % 2);
      if (odd < 5) return say(`At ${this.track.fps.toFixed(0)} frames a second a window has to be ${(5 / this.track.fps).toFixed(2)} s or longer`);
      this.operate("Smoothed", (channels, range) =>
        new Map(channels.filter((c) => c.kind !== "identity").map((c) => [c, smoothed(c, range, odd, this.shots)])));
    };
    const compared = [["off", "nothing"], ["original", "as it was"]];
    if (facts.against) compared.push(["against", facts.against.name]);
    $("compare").replaceChildren(...compared.map(([value, label]) => make("option", { value }, label)));
    $("compare").onchange = () => this.setCompare($("compare").value);
    if (facts.against) this.setCompare("against");
  }

  withSides(channels) {
    return [...new Set(channels.flatMap((c) => [c, this.performance.mirror(c)]))];
  }

  setCompare(what) {
    this.compare = what;
    $("compare").value = what;
    if (this.tools) this.showTools();
    this.refresh();
  }

  view(mode) {
    this.stage.mode = mode;
    this.setMode(mode);
    this.showTools();
    this.redraw();
  }

  front() {
    this.stage.frameHead();
    this.redraw();
  }

  showTools() {
    const { still, front, whole, strength, heat } = this.tools, free = this.stage.mode === "free";
    still.hidden = front.hidden = !free;
    whole.hidden = free;
    strength.hidden = this.stage.mode !== "over" || !this.clip;
    heat.hidden = this.compare === "off";
  }

  saveMenu() {
    const item = (title, note, act) => make("button", { onclick: () => { $("save").open = false; act(); } }, title, make("small", {}, note));
    const items = [];
    if (this.track) {
      items.push(
        item("Edits", "JSON for portrait edit --edits (Ctrl+S)", () => this.saveEdits()),
        item("ARKit curves", "CSV as Live Link Face writes it", () => download(`${facts.file}.curves.csv`, curvesCsv(this.performance, facts), "text/csv")),
        item("Open edits…", "Go on with a file that was saved here", () => $("open").click()),
      );
      $("open").onchange = () => { if ($("open").files[0]) this.openEdits($("open").files[0]); $("open").value = ""; };
    } else
      items.push(item("Copy as options", "--set NAME=VALUE of what was moved, for portrait edit", () => {
        const set = this.performance.edited.filter((c) => ["expression", "joints"].includes(c.kind));
        const text = set.map((c) => `--set ${c.name}=${Number(c.values[0].toFixed(4))}`).join(" ");
        if (!text) return say("Nothing was moved yet");
        navigator.clipboard?.writeText(text).then(() => say(`Copied: ${text}`), () => say(text));
      }));
    items.push(item("Picture", "PNG of what is shown", () => this.savePicture()));
    if (facts.command) items.push(make("code", {}, facts.command));
    $("save-items").replaceChildren(...items);
  }
}

/** [first, last] of each shot. */
function shotsOf(track) {
  if (!track) return [[0, 0]];
  const starts = [0];
  for (let f = 1; f < track.frames; f++) if (track.labels[track.status[f]].includes("cut")) starts.push(f);
  return starts.map((a, k) => [a, (starts[k + 1] ?? track.frames) - 1]);
}

/** The texture and its atlas, where the page has one. */
async function atlasOf(arrays) {
  if (!facts.texture) return null;
  const image = new Image();
  image.src = facts.texture;
  await image.decode();
  return { image, at: arrays["atlas at"], uv: arrays["atlas uv"], triangles: arrays["atlas triangles"] };
}
