// The part below the stage: playing, the frame's number and status, how far edits reach, operations on curves.
import { $, choice, say } from "./controls.js";
import { clamp, mirrored, neutral, restored, scaled, smoothed } from "./edits.js";

const FACE = ["expression", "joints"], MOVES = ["expression", "joints", "gaze", "turn", "place"];
const MARKS = [["no_face", "#e0685e"], ["uncertain", "#e2a33f"], ["", "#5f9f7d"]];

export function wireDock(page) {
  choice($("reach"), [
    ["frame", "Frame", "This frame alone"],
    ["soft", "Soft", "0.2 s before and after, fading"],
    ["clip", "Clip", "The whole clip, or up to its keys"],
  ], page.reach, (reach) => (page.reach = reach));
  choice($("tool"), [
    ["seek", "Seek", "The pointer moves through time"],
    ["draw", "Draw", "Draws the nearest curve by hand"],
    ["pull", "Pull", "Pulls the nearest curve up and down"],
  ], "seek", (tool) => (page.timeline.tool = tool));
  $("frames").textContent = `of ${page.frames}`;
  const clicks = {
    play: () => page.play(), first: () => page.seek(0), last: () => page.seek(page.frames - 1), key: () => page.toggleKey(),
    "curves-on": () => page.showCurves(), undo: () => page.undo(), redo: () => page.undo(false),
  };
  for (const [id, act] of Object.entries(clicks)) $(id).onclick = act;
  $("frame").onchange = () => {
    page.pause();
    page.seek(Number($("frame").value) || 0);
    $("frame").blur();
  };
  page.showCurves(window.innerWidth > 760);
  wireOperations(page);
}

function wireOperations(page) {
  const each = (change) => (channels, range) => new Map(channels.map((c) => [c, change(c, range)]));
  const typed = (id, low, high) => clamp(Number($(id).value.replace(",", ".")) || 0, low, high);
  $("neutral").onclick = () => page.operate("Neutral", FACE, each(neutral));
  $("restore").onclick = () => page.operate("As it was", [...MOVES, "identity"], each(restored));
  $("scale").onclick = () => {
    const factor = typed("scale-by", -10, 10);
    page.operate("Scaled", FACE, each((c, range) => scaled(c, range, factor)));
  };
  $("mirror").onclick = () =>
    page.operate("Mirrored", MOVES, (channels, range) => {
      const both = new Set(channels.flatMap((c) => [c, page.performance.mirror(c)]));
      return mirrored(page.performance, [...both], range);
    });
  $("smooth").onclick = () => {
    const { fps } = page.track, frames = Math.round(typed("smooth-by", 0, 60) * fps), window = frames + 1 - (frames % 2);
    if (window < 5) return say(`At ${fps.toFixed(0)} frames a second a window has to be ${(5 / fps).toFixed(2)} s or longer`);
    const shots = shotsOf(page.track);
    page.operate("Smoothed", MOVES, each((c, range) => smoothed(c, range, window, shots)));
  };
}

export function showDock(page) {
  const { track, frame, history } = page;
  page.timeline.redraw();
  $("undo").disabled = !history.done.length;
  $("redo").disabled = !history.undone.length;
  if (document.activeElement !== $("frame")) $("frame").value = frame;
  $("time").textContent = `${track.seconds[frame].toFixed(2)} s`;
  const status = track.labels[track.status[frame]], words = status.replaceAll("_", " ").replaceAll("+", ", ");
  $("status").textContent = `${words} · ${track.confidence[frame].toFixed(2)}`;
  $("status").title = "Status of the frame, and how far its fit is to be trusted, 0 to 1";
  $("status").style.setProperty("--mark", MARKS.find(([part]) => status.includes(part))[1]);
  $("key").classList.toggle("on", page.keys.includes(frame));
  const on = page.pinned.length ? page.pinned.map((c) => c.label).join(", ") : "the whole face";
  $("scope").textContent = `${on} · ${page.range ? `frames ${page.range.join(" to ")}` : "whole clip"}`;
}

/** [first, last] of each shot. */
function shotsOf(track) {
  const starts = [0];
  for (let f = 1; f < track.frames; f++) if (track.labels[track.status[f]].includes("cut")) starts.push(f);
  return starts.map((a, k) => [a, (starts[k + 1] ?? track.frames) - 1]);
}
