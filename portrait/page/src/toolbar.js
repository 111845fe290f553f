// The buttons above and on the stage: views, comparing, light, and what leaves the page.
import { $, choice, make, say, toggle } from "./controls.js";
import { facts } from "./data.js";
import { curvesCsv, download, editsOf, editsTable } from "./save.js";

let setMode = () => {};
const tools = {};

export function wireTools(page) {
  const { stage, view } = page;
  const redraws = (act) => (value) => { act(value); page.redraw(); };
  tools.tour = make("button", { id: "tour", title: "Each coefficient in turn (Space)", onclick: () => page.play() }, "Show each");
  tools.still = toggle("Hold still", "The head's own turns are left out", false, redraws((on) => (stage.still = on)));
  tools.front = make("button", { title: "From the front again (F)", onclick: () => page.front() }, "Front");
  tools.whole = toggle("Whole frame", "All of the frame, or the face alone", false,
    redraws((on) => (on ? stage.window.whole() : view.lookAtFace())));
  tools.light = toggle("Studio light", "A light of its own, rather than the clip's as it was fitted", false,
    redraws((on) => (stage.studioLight = on)));
  tools.heat = toggle("Difference", "Colours the second head by how far it is from the first", false, redraws((on) => (view.heat = on)));
  tools.strength = make("label", {}, "head", make("input", {
    type: "range", min: 0, max: 1, step: 0.01, value: stage.strength, "aria-label": "Strength of the head",
    oninput: (e) => redraws((x) => (stage.strength = x))(Number(e.target.value)),
  }));
  $("tools").replaceChildren(...Object.values(tools));
  if (page.track) {
    const [free, over, beside] = [
      ["free", "Free", "From any side (1)"],
      ["over", view.clip ? "Over video" : "Camera", "Through the clip's camera (2)"],
      ["beside", "Beside", "Picture and head side by side (3)"],
    ];
    setMode = choice($("view"), view.clip ? [free, over, beside] : [free, over], "free", (mode) => page.setView(mode));
    const compared = [["off", "nothing"], ["original", "as it was"]];
    if (facts.against) compared.push(["against", facts.against.name]);
    $("compare").replaceChildren(...compared.map(([value, label]) => make("option", { value }, label)));
    $("compare").onchange = () => page.setCompare($("compare").value);
  }
  $("view").hidden = !page.track;
  $("help").onclick = () => $("keys").showModal();
  saveMenu(page);
  showTools(page);
}

/** Shows the tools that mean something now. */
export function showTools({ track, stage, view }) {
  const free = stage.mode === "free";
  const shown = {
    tour: !track, still: track && free, front: free, whole: !free, light: track && !free, heat: view.compare !== "off",
    strength: stage.mode === "over" && view.clip,
  };
  for (const [name, on] of Object.entries(shown)) tools[name].hidden = !on;
  setMode(stage.mode);
  $("compare").value = view.compare;
}

function saveMenu(page) {
  const item = (title, note, act) =>
    make("button", { onclick: () => { $("save").open = false; act(); } }, title, make("small", {}, note));
  const picture = item("Picture", "PNG of what is shown", () =>
    page.view.picture().toBlob((blob) => download(`${facts.file}.${page.frame}.png`, blob)));
  const items = page.track
    ? [
        item("Edits", "JSON for portrait edit --edits (Ctrl+S)", () => saveEdits(page)),
        item("ARKit curves", "CSV as Live Link Face writes it", () =>
          download(`${facts.file}.curves.csv`, curvesCsv(page.performance, facts), "text/csv")),
        item("Open edits…", "Go on with a file that was saved here", () => $("open").click()),
        picture,
        make("code", {}, facts.command),
      ]
    : [item("Copy as options", "--set NAME=VALUE of what was moved, for portrait edit", () => copyOptions(page)), picture];
  $("save-items").replaceChildren(...items);
  $("open").onchange = async () => {
    const [file] = $("open").files;
    if (file) await openEdits(page, file);
    $("open").value = "";
  };
  document.addEventListener("click", (e) => { if (!$("save").contains(e.target)) $("save").open = false; });
  window.addEventListener("beforeunload", (e) => {
    if (page.track && page.performance.edited.length && page.saved !== page.history.done.length) e.preventDefault();
  });
}

export function saveEdits(page) {
  if (!page.performance.edited.length) return say("Nothing was edited yet");
  download(`${facts.file}.edits.json`, JSON.stringify(editsTable(page.performance, facts)) + "\n", "application/json");
  page.saved = page.history.done.length;
}

async function openEdits(page, file) {
  try {
    const changes = editsOf(JSON.parse(await file.text()), page.performance, facts);
    page.history.apply(`Opened ${file.name}`, changes);
    say(`${file.name}: ${changes.size} curves`);
  } catch (error) {
    say(error instanceof SyntaxError ? `${file.name} isn't JSON` : error.message);
  }
}

function copyOptions(page) {
  const moved = page.performance.edited.filter((c) => ["expression", "joints"].includes(c.kind));
  const text = moved.map((c) => `--set ${c.name}=${Number(c.values[0].toFixed(4))}`).join(" ");
  if (!text) return say("Nothing was moved yet");
  const told = () => say(text);
  if (navigator.clipboard) navigator.clipboard.writeText(text).then(() => say(`Copied: ${text}`), told);
  else told();
}
