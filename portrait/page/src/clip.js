// The clip's pictures: decoded when they are needed, the next ones ahead, a few kept.
import { bytesOf } from "./data.js";

const KEPT = 48;

export class Clip {
  constructor(facts, arrived) {
    this.facts = facts;
    this.arrived = arrived; // called when a picture that was missing is there
    this.bytes = bytesOf("pictures");
    this.decoded = new Map(); // by number, in the order of their use
    this.pending = new Set();
  }

  /** The picture of a frame; null while it is being decoded. */
  at(frame) {
    const k = Math.min(Math.floor(frame / this.facts.every), this.facts.ends.length - 1);
    for (let next = k; next < Math.min(k + 6, this.facts.ends.length); next++) this.decode(next, next === k);
    const found = this.decoded.get(k) ?? null;
    if (found) {
      this.decoded.delete(k);
      this.decoded.set(k, found);
      this.last = found;
    }
    return found ?? this.last ?? null;
  }

  async decode(k, wanted) {
    if (this.decoded.has(k) || this.pending.has(k)) return;
    this.pending.add(k);
    const { ends } = this.facts;
    const file = new Blob([this.bytes.subarray(k ? ends[k - 1] : 0, ends[k])], { type: "image/webp" });
    try {
      this.decoded.set(k, await createImageBitmap(file));
    } catch {
      this.broken = true; // a browser that has no WebP: the head is there without its video
    }
    this.pending.delete(k);
    for (const [old, picture] of this.decoded) {
      if (this.decoded.size <= KEPT) break;
      if (picture === this.last) continue;
      picture.close();
      this.decoded.delete(old);
    }
    if (wanted) this.arrived();
  }
}
