// Plays the clip, or its range again and again, by its own times.
import { $ } from "./controls.js";

export function play(page, on) {
  page.playing = on;
  document.body.classList.toggle("playing", on);
  $("play").setAttribute("aria-label", on ? "Pause" : "Play");
  if (!on) return;
  const { seconds, fps } = page.track, [first, last] = page.range ?? [0, page.frames - 1];
  if (page.frame >= last || page.frame < first) page.seek(first);
  const began = performance.now() / 1000 - seconds[page.frame];
  let shown = page.frame;
  const step = () => {
    if (!page.playing) return;
    if (page.frame !== shown) return play(page, true); // somebody sought
    const now = performance.now() / 1000 - began;
    let next = shown;
    while (next < last && seconds[next + 1] <= now) next++;
    if (next === last && now > seconds[last] + 1 / fps) {
      page.seek(first);
      return play(page, true);
    }
    if (next !== shown) page.seek(next);
    shown = page.frame;
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}
