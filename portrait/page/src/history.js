// The one place where curves change: each step is kept, and can be taken back.
import { coupledLids } from "./edits.js";

const MOST = 200; // steps

export class History {
  constructor(performance, changed) {
    this.performance = performance;
    this.changed = changed; // called after every change
    this.done = [];
    this.undone = [];
    this.open = null;
  }

  /** One step: changes is a Map from channels to their new curves. */
  apply(label, changes) {
    this.begin(label);
    this.change(changes);
    this.commit();
  }

  /** Begins a step that goes through many values, as a slider does; until `commit` each `change` replaces the last. */
  begin(label) {
    this.commit();
    this.open = { label, before: new Map(), after: new Map() };
  }

  change(changes) {
    this.restore(this.open.before);
    const all = new Map([...coupledLids(this.performance, changes), ...changes]);
    for (const [channel, values] of all) {
      this.open.before.set(channel, channel.values);
      channel.values = values;
    }
    this.changed();
  }

  commit() {
    const step = this.open;
    this.open = null;
    if (!step) return;
    for (const [channel, before] of step.before) {
      if (before.every((x, f) => x === channel.values[f])) channel.values = before;
      else step.after.set(channel, channel.values);
    }
    if (!step.after.size) return;
    this.done.push(step);
    this.undone = [];
    if (this.done.length > MOST) this.done.shift();
    this.changed();
  }

  restore(curves) {
    for (const [channel, values] of curves) channel.values = values;
  }

  undo() {
    this.commit();
    const step = this.done.pop();
    if (!step) return null;
    this.restore(step.before);
    this.undone.push(step);
    this.changed();
    return step.label;
  }

  redo() {
    const step = this.undone.pop();
    if (!step) return null;
    this.restore(step.after);
    this.done.push(step);
    this.changed();
    return step.label;
  }
}
