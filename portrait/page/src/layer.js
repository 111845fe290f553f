// A canvas whose standing part is painted only when it changes, and kept: 3,000 frames are many lines.

export class Layer {
  constructor(canvas) {
    this.canvas = canvas;
    this.kept = document.createElement("canvas");
    this.key = [];
  }

  /** key: what the standing part depends on; still and moving: (context, width, height), in px of the page. */
  draw(key, still, moving) {
    const { canvas, kept } = this, ratio = window.devicePixelRatio || 1;
    const [w, h] = [canvas.clientWidth, canvas.clientHeight], whole = [w, h, ratio, ...key];
    if (whole.length !== this.key.length || whole.some((value, k) => value !== this.key[k])) {
      this.key = whole;
      for (const c of [canvas, kept]) [c.width, c.height] = [Math.round(w * ratio), Math.round(h * ratio)];
      still(this.context(kept, ratio), w, h);
    }
    const context = canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (kept.width && kept.height) context.drawImage(kept, 0, 0);
    moving(this.context(canvas, ratio), w, h);
  }

  context(canvas, ratio) {
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.font = "11px system-ui, sans-serif";
    return context;
  }
}
