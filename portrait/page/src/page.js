// What the parts share: the frame, the range, keys, pinned curves; and every action, whoever asks for it.
import { $, make, say, soon } from "./controls.js";
import { facts } from "./data.js";
import { showDock, wireDock } from "./dock.js";
import { drawn, falloff, moved } from "./edits.js";
import { History } from "./history.js";
import { listen } from "./keys.js";
import { Panel } from "./panel.js";
import { Performance } from "./performance.js";
import { play } from "./playback.js";
import { Timeline } from "./timeline.js";
import { showTools, wireTools } from "./toolbar.js";
import { tour } from "./tour.js";
import { View } from "./view.js";

const COLORS = ["#7fb0ff", "#f28f7d", "#8fd08a", "#d9a7ff", "#f2cf6b", "#6fd3cf", "#f59ac1", "#b3b9c4"];
const SOFT = 0.2; // seconds that a soft edit reaches to either side
const REACH = { frame: () => 0, soft: (fps) => Math.max(1, Math.round(fps * SOFT)), clip: () => Infinity };

export class Page {
  constructor(arrays, atlas) {
    const { track } = facts;
    document.body.classList.toggle("no-track", !track);
    this.track = track && { ...track, status: arrays["a status"], confidence: arrays["a confidence"] };
    this.frames = track?.frames ?? 1;
    this.frame = 0;
    this.range = null; // [first, last] frame that operations change; null is the clip
    this.keys = []; // frames that edits fade out towards
    this.reach = "soft";
    this.pinned = []; // channels whose curves are in the strip
    this.colors = new Map(); // theirs
    this.performance = new Performance(arrays, facts, "a", this.frames);
    this.redraw = soon(() => this.view.render());
    this.refresh = soon(() => this.show());
    this.history = new History(this.performance, () => this.refresh());
    this.view = new View(this, arrays, atlas, () => this.redraw());
    this.stage = this.view.stage;
    this.panel = new Panel(this.performance, this.acts());
    if (track) {
      this.timeline = new Timeline(this.track, this, this.acts());
      wireDock(this);
    }
    wireTools(this);
    listen(this);
    if (facts.against) this.setCompare("against");
    if (facts.notes.length) say(facts.notes.join(" "));
  }

  /** Everything that may have changed. */
  show() {
    this.redraw();
    const { view, frame } = this;
    const other = view.compare !== "against" ? null : (channel) => {
      const curve = view.otherCurve(channel);
      return curve ? curve[Math.min(frame, curve.length - 1)] : NaN;
    };
    this.panel.show(frame, other, this.colors);
    if (this.track) showDock(this);
  }

  // -- time -----------------------------------------------------------------------------------------------------------

  seek(frame) {
    this.frame = Math.min(this.frames - 1, Math.max(0, Math.round(frame)));
    this.timeline?.follow(this.frame);
    this.refresh();
  }

  /** Plays or pauses; without a track: shows each coefficient in turn, or stops that. */
  play(on = !this.playing) {
    if (this.track && this.frames > 1) play(this, on);
    else this.endTour = this.endTour ? this.endTour() : tour(this);
  }

  pause() {
    if (this.playing) this.play(false);
    if (this.endTour) this.endTour = this.endTour();
  }

  toggleKey() {
    const on = !this.keys.includes(this.frame);
    this.keys = on ? [...this.keys, this.frame] : this.keys.filter((k) => k !== this.frame);
    say(on ? "Key set: edits fade out towards it" : "Key taken away");
    this.refresh();
  }

  /** end: 0 or 1, which end of the range is at the frame that is shown; null: no range. */
  setRange(end) {
    const range = [...(this.range ?? [0, this.frames - 1])];
    if (end !== null) range[end] = this.frame;
    this.range = end === null ? null : range[0] <= range[1] ? range : [this.frame, this.frame];
    this.refresh();
  }

  // -- edits ----------------------------------------------------------------------------------------------------------

  /** How much of an edit at a frame each frame takes. */
  weights(frame = this.frame) {
    return falloff(this.frames, frame, REACH[this.reach](this.track?.fps), this.keys, this.range);
  }

  /** New curves that put a channel, and the other side's if they go together, to a value in this frame. */
  toValue(channel, value, started) {
    const other = $("both").checked ? this.performance.mirror(channel) : channel, weights = this.weights();
    return new Map([...new Set([channel, other])].map((c) => {
      const from = started?.get(c) ?? c.values;
      return [c, moved(c, from, weights, value - from[from.length > 1 ? this.frame : 0])];
    }));
  }

  /** What sliders and curves may do. */
  acts() {
    const { history } = this;
    return {
      begin: (what) => {
        this.pause();
        this.started = new Map(this.performance.channels.map((c) => [c, c.values]));
        history.begin(what.label ?? what);
      },
      drag: (channel, value) => {
        if (!history.open) this.acts().begin(channel); // the keyboard moves a slider without pressing it
        history.change(this.toValue(channel, value, this.started));
      },
      end: () => history.commit(),
      set: (channel, value) => history.apply(channel.label, this.toValue(channel, value)),
      restore: (channel) => {
        const was = channel.original[channel.original.length > 1 ? this.frame : 0];
        history.apply(`${channel.label} as it was`, this.toValue(channel, was));
      },
      draw: (channel, started, points) => history.change(new Map([[channel, drawn(channel, started, points)]])),
      bend: (channel, started, frame, delta) =>
        history.change(new Map([[channel, moved(channel, started, this.weights(frame), delta)]])),
      pin: (channel) => this.pin(channel),
      seek: (frame) => this.seek(frame),
      refresh: () => this.refresh(),
    };
  }

  /** Changes the pinned curves, or else those of these kinds, within the range. change: (channels, range) to curves. */
  operate(label, kinds, change) {
    this.pause();
    const channels = this.pinned.length ? this.pinned : this.performance.channels.filter((c) => kinds.includes(c.kind));
    this.history.apply(label, change(channels, this.range ?? [0, this.frames - 1]));
    say(`${label}: ${this.pinned.length ? channels.map((c) => c.label).join(", ") : "the whole face"}`);
  }

  undo(back = true) {
    const label = back ? this.history.undo() : this.history.redo();
    say(label ? `${back ? "Undone" : "Redone"}: ${label}` : `Nothing to ${back ? "undo" : "redo"}`);
  }

  // -- what is shown --------------------------------------------------------------------------------------------------

  /** Puts a channel's curve into the strip, or takes it out. */
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

  setView(mode) {
    this.stage.mode = mode;
    showTools(this);
    this.redraw();
  }

  setCompare(what) {
    this.view.compare = what;
    showTools(this);
    this.refresh();
  }

  front() {
    this.stage.frameHead();
    this.redraw();
  }

  hold(on) {
    if (this.view.held === on) return;
    this.view.held = on;
    this.redraw();
  }
}
