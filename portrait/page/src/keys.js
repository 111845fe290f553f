// What the keyboard does; the same list is shown by "?".
import { $, make } from "./controls.js";
import { saveEdits } from "./toolbar.js";

export function listen(page) {
  const step = (n) => () => { page.pause(); page.seek(page.frame + n); };
  const keys = [
    [["Space"], page.track ? "play and pause" : "show each coefficient in turn", () => page.play()],
    [["ArrowLeft"], "a frame back (Shift: ten)", (e) => step(e.shiftKey ? -10 : -1)()],
    [["ArrowRight"], "a frame on (Shift: ten)", (e) => step(e.shiftKey ? 10 : 1)()],
    [["Home"], "first frame", () => page.seek(0)],
    [["End"], "last frame", () => page.seek(page.frames - 1)],
    [["K"], "set or take away a key: edits fade out towards it", () => page.toggleKey()],
    [["I"], "range begins here", () => page.setRange(0)],
    [["O"], "range ends here", () => page.setRange(1)],
    [["X"], "no range", () => page.setRange(null)],
    [["B"], "held down: as it was before the edits", () => page.hold(true)],
    [["C"], "curves", () => page.showCurves()],
    [["1"], "free view", () => page.setView("free")],
    [["2"], "over the video", () => page.setView("over")],
    [["3"], "beside the video", () => page.view.clip && page.setView("beside")],
    [["F"], "the head from the front", () => page.front()],
    [["/"], "find a slider", () => $("search").focus()],
  ];
  const everywhere = [[["Space"]], [["F"]], [["/"]]].flat(2);
  const used = page.track ? keys : keys.filter(([[key]]) => everywhere.includes(key));
  const control = [
    ["Ctrl+Z", "undo", "z", (e) => page.undo(!e.shiftKey)],
    ["Ctrl+Shift+Z, Ctrl+Y", "redo", "y", () => page.undo(false)],
    ["Ctrl+S", "save the edits", "s", () => saveEdits(page)],
  ];
  document.addEventListener("keydown", (e) => {
    const field = e.target.closest?.("input:not([type=range]):not([type=checkbox]), select, dialog");
    if (e.ctrlKey || e.metaKey) {
      const found = page.track && !field && control.find(([, , key]) => key === e.key.toLowerCase());
      if (found) { e.preventDefault(); found[3](e); }
      return;
    }
    if (e.key === "Escape" && field) return field.blur();
    if (field || e.altKey) return;
    if (e.target.type === "range" && /^(Arrow|Home|End|Page)/.test(e.key)) return; // the slider's own
    if (e.key === "?") return $("keys").showModal();
    const name = e.key === " " ? "Space" : e.key.length === 1 ? e.key.toUpperCase() : e.key;
    const found = used.find(([names]) => names.includes(name));
    if (!found) return;
    if (name === "Space" && e.target.closest?.("button, summary")) e.target.blur(); // plays rather than presses
    e.preventDefault();
    if (!(e.repeat && ["Space", "K", "B"].includes(name))) found[2](e);
  });
  document.addEventListener("keyup", (e) => {
    if (e.key.toLowerCase() === "b") page.hold(false);
  });
  const arrows = { ArrowLeft: "←", ArrowRight: "→" };
  const rows = [...used.map(([[key], text]) => [arrows[key] ?? key, text]), ...(page.track ? control : [])];
  $("keys").replaceChildren(
    make("h2", {}, "Keys"),
    make("dl", {}, ...rows.flatMap(([key, text]) => [make("dt", {}, make("kbd", {}, key)), make("dd", {}, text)])),
    make("p", {}, "Double-click a slider: as it was. Click its name: its curve. Wheel over the timeline: zoom. Drag the head: turn it; with the right button: move it."),
  );
  $("keys").addEventListener("click", () => $("keys").close());
}
