// Each coefficient in turn, from rest to its bound and back: what it does.
import { say } from "./controls.js";

const SECONDS = 1.4;

/** Begins; the function that ends it and puts everything back. */
export function tour(page) {
  const channels = page.performance.channels.filter((c) => c.kind !== "turn" && c.kind !== "place");
  const before = channels.map((c) => c.values), began = performance.now();
  let running = true;
  const button = document.getElementById("tour");
  if (button) button.textContent = "Stop";
  const step = () => {
    if (!running) return;
    const t = (performance.now() - began) / 1000 / SECONDS, k = Math.floor(t) % channels.length, phase = t % 1;
    channels.forEach((c, i) => (c.values = before[i]));
    const c = channels[k], [low, high] = c.shown ?? [c.lower, c.upper], signed = low < c.rest;
    const wave = signed ? Math.sin(2 * Math.PI * phase) : Math.sin(Math.PI * phase) ** 2;
    c.values = Float32Array.of(c.rest + wave * (wave < 0 ? c.rest - low : high - c.rest));
    say(`${c.group}: ${c.label}`);
    page.refresh();
    requestAnimationFrame(step);
  };
  step();
  return () => {
    running = false;
    channels.forEach((c, i) => (c.values = before[i]));
    if (button) button.textContent = "Show each";
    page.refresh();
    return null;
  };
}
