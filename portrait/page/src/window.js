// Which part of the clip's frame a pane shows: dragged and zoomed by pointer, wheel and two fingers.

export class Window {
  /** size: {width, height} px of a frame; active: whether gestures are this window's. */
  constructor(element, size, active, changed) {
    Object.assign(this, { size, active, changed, zoom: 1 });
    if (!size) return;
    this.whole();
    this.fingers = new Map();
    element.addEventListener("pointerdown", (e) => this.active() && this.fingers.set(e.pointerId, [e.offsetX, e.offsetY]));
    element.addEventListener("pointermove", (e) => this.fingers.has(e.pointerId) && this.moved(e));
    for (const end of ["pointerup", "pointercancel", "pointerleave"])
      element.addEventListener(end, (e) => this.fingers.delete(e.pointerId));
    element.addEventListener("wheel", (e) => {
      if (!this.active()) return;
      e.preventDefault();
      this.scale(Math.exp(-e.deltaY * 0.0015));
    }, { passive: false });
  }

  /** All of the frame. */
  whole() {
    this.side = null;
    this.zoom = 1;
    this.center = [this.size.width / 2, this.size.height / 2];
  }

  /** A square of the frame, px, about its middle. */
  show(x, y, side) {
    this.side = side;
    this.zoom = 1;
    this.center = [x, y];
  }

  moved(e) {
    const before = [...this.fingers.values()], old = this.fingers.get(e.pointerId);
    this.fingers.set(e.pointerId, [e.offsetX, e.offsetY]);
    const after = [...this.fingers.values()], share = 1 / after.length;
    this.center[0] -= (e.offsetX - old[0]) * this.perPixel * share;
    this.center[1] -= (e.offsetY - old[1]) * this.perPixel * share;
    if (after.length === 2) {
      const apart = ([a, b]) => Math.hypot(a[0] - b[0], a[1] - b[1]) || 1;
      this.scale(apart(after) / apart(before));
    }
    this.changed();
  }

  scale(factor) {
    this.zoom = Math.min(40, Math.max(0.5, this.zoom * factor));
    this.changed();
  }

  /** Of a pane with this size in px: {x, y, width, height} in px of the frame; it may go beyond its edges. */
  rectangle(width, height) {
    const fit = this.side
      ? this.side / Math.min(width, height)
      : Math.max(this.size.width / width, this.size.height / height);
    this.perPixel = fit / this.zoom;
    const w = width * this.perPixel, h = height * this.perPixel;
    return { x: this.center[0] - w / 2, y: this.center[1] - h / 2, width: w, height: h };
  }
}
