// What needs Python, in a page that 'portrait serve' gave out: fitting a frame again, a preview by a trained network.
import { $, make, say } from "./controls.js";
import { facts } from "./data.js";
import { moved } from "./edits.js";
import { editsTable } from "./save.js";

const LABELS = { fit: ["Fit again", "This frame is fitted anew from where it is, and takes the reach of an edit"], preview: ["Preview", "This frame as the trained network makes it"] };

export function connect(page) {
  for (const name of facts.server ?? []) {
    const [label, title] = LABELS[name];
    const button = make("button", { title, id: `ask-${name}` }, label);
    button.addEventListener("click", () => ask(page, name, button));
    $("tools").append(button);
  }
}

async function ask(page, name, button) {
  page.pause();
  button.disabled = true;
  say(name === "fit" ? `Fitting frame ${page.frame} …` : `Making frame ${page.frame} …`);
  try {
    const question = { frame: page.frame, edits: editsTable(page.performance, facts) };
    const reply = await fetch(name, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(question),
    });
    const answer = await reply.json();
    if (!reply.ok) throw new Error(answer.error);
    if (name === "fit") take(page, answer);
    else show(answer);
  } catch (error) {
    say(error instanceof TypeError ? "Python doesn't answer: is 'portrait serve' still running?" : error.message);
  }
  button.disabled = false;
}

function take(page, { frame, values }) {
  page.seek(frame);
  const changes = new Map(), weights = page.weights();
  for (const [kind, named] of Object.entries(values))
    for (const [name, value] of Object.entries(named)) {
      const c = page.performance.byId.get(`${kind} ${name}`);
      if (c) changes.set(c, moved(c, c.values, weights, value - c.values[frame]));
    }
  page.history.apply(`Fitted frame ${frame} again`, changes);
  say(`Frame ${frame} fitted again`);
}

function show({ frame, picture }) {
  document.getElementById("preview")?.remove();
  const image = make("img", { src: picture, alt: `Frame ${frame}, synthetic` });
  const close = make("button", { "aria-label": "Close", onclick: () => figure.remove() }, "×");
  const figure = make("figure", { id: "preview" }, image, make("figcaption", {}, `Frame ${frame} · synthetic`, close));
  $("stage").append(figure);
  $("say").classList.remove("on");
}
