// Where the page begins: it reads its data, or says why it can't be shown.
import { $, make } from "./controls.js";
import { facts, readArrays } from "./data.js";
import { Page } from "./page.js";
import { connect } from "./server.js";

const NO_WEBGL =
  "It draws the head with WebGL 2, which this browser doesn't have or has switched off. Open the file in a current " +
  "Chrome, Edge, Firefox or Safari with hardware acceleration on.";

start().catch((error) => stop("This page can't be shown.", String(error?.message ?? error)));

async function start() {
  $("title").textContent = facts.title;
  $("subtitle").textContent = facts.subtitle;
  if (!hasWebGL()) return stop("No WebGL here.", NO_WEBGL);
  const arrays = await readArrays();
  window.portrait = new Page(arrays, await atlasOf(arrays)); // in reach of tests, and of the curious
  document.body.classList.remove("loading");
  connect(window.portrait);
  window.portrait.refresh();
}

function hasWebGL() {
  const context = document.createElement("canvas").getContext("webgl2");
  context?.getExtension("WEBGL_lose_context")?.loseContext();
  return Boolean(context);
}

function stop(title, why) {
  document.body.classList.remove("loading");
  document.body.classList.add("stopped");
  $("stop").hidden = false;
  $("stop").replaceChildren(make("strong", {}, title), make("p", {}, why));
}

/** The texture and its atlas, where the page has one. */
async function atlasOf(arrays) {
  if (!facts.texture) return null;
  const image = new Image();
  image.src = facts.texture;
  await image.decode();
  return { image, at: arrays["atlas at"], uv: arrays["atlas uv"], triangles: arrays["atlas triangles"] };
}
