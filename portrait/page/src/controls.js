// Small parts of the user interface. Text goes in as text: names come from files.

export const $ = (id) => document.getElementById(id);

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** A row of buttons of which one is chosen; options: [value, label, title]. */
export function choice(element, options, chosen, changed) {
  const set = (value) => {
    for (const button of element.children) button.setAttribute("aria-checked", button.dataset.value === value);
  };
  element.replaceChildren(
    ...options.map(([value, label, title]) =>
      make("button", {
        role: "radio", "data-value": value, title, onclick: () => { set(value); changed(value); },
      }, label)),
  );
  set(chosen);
  return set;
}

export function toggle(label, title, pressed, changed) {
  const button = make("button", { title, "aria-pressed": pressed }, label);
  button.addEventListener("click", () => {
    const now = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", now);
    changed(now);
  });
  return button;
}

let timer;
/** A line at the bottom of the stage, for a moment. */
export function say(text) {
  $("say").textContent = text;
  $("say").classList.add("on");
  clearTimeout(timer);
  timer = setTimeout(() => $("say").classList.remove("on"), 2600);
}

/** Calls a function once in the next frame, however often it's asked for until then. */
export function soon(work) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; work(); });
  };
}
