// The sliders: a row for each coefficient, in groups, with a search.
import { $, make } from "./controls.js";
import { isEdited } from "./performance.js";

const ORDER = ["Brows", "Eyes", "Gaze", "Jaw", "Mouth", "Cheeks", "Nose", "Tongue", "Expression", "Joints", "Head", "Identity"];
const CLOSED = ["Head", "Identity"];

export class Panel {
  /** act: {begin(label), drag(channel, value), end(), set(channel, value), restore(channel), pin(channel)}. */
  constructor(performance, act) {
    this.act = act;
    this.rows = performance.channels.map((channel) => this.row(channel));
    const groups = ORDER.map((name) => [name, this.rows.filter((r) => r.channel.group === name)]).filter(([, rows]) => rows.length);
    this.groups = groups.map(([name, rows]) => {
      const note = make("span", { class: "dim" });
      const open = CLOSED.includes(name) && groups.length > 3 ? undefined : "";
      const element = make("details", { class: "group", open }, make("summary", {}, name, note), ...rows.map((r) => r.element));
      return { element, rows, note, open: open === "" };
    });
    $("groups").replaceChildren(...this.groups.map((g) => g.element));
    $("search").addEventListener("input", () => this.search($("search").value));
  }

  row(channel) {
    const { shown, lower, upper, scale, unit } = channel;
    const low = (shown?.[0] ?? lower) * scale, high = (shown?.[1] ?? upper) * scale;
    const digits = scale !== 1 || unit === " mm" ? 1 : 2;
    const range = make("input", { type: "range", min: low, max: high, step: "any", "aria-label": channel.label });
    const value = make("input", { class: "value", inputmode: "decimal", "aria-label": `${channel.label}, number` });
    const name = make("button", { class: "name", title: `${channel.label}${TITLES[channel.kind] ?? ""}: shows its curve` }, label(channel));
    const element = make("div", { class: "row" }, make("span", { class: "dot" }), name, range, value);
    const row = { channel, element, range, value, low, high, digits };
    const { act } = this;
    range.addEventListener("pointerdown", () => act.begin(channel));
    range.addEventListener("input", () => act.drag(channel, range.valueAsNumber / scale));
    for (const end of ["change", "pointerup", "pointercancel"]) range.addEventListener(end, () => act.end());
    element.addEventListener("dblclick", (e) => e.target !== value && act.restore(channel));
    name.addEventListener("click", () => act.pin(channel));
    const typed = () => {
      const x = Number(value.value.replace(",", ".").replace(/[^\d.eE+-]/g, ""));
      if (value.value.trim() && Number.isFinite(x)) act.set(channel, x / scale);
      row.last = null;
      act.refresh();
    };
    value.addEventListener("focus", () => value.select());
    value.addEventListener("keydown", (e) => {
      if (e.key === "Enter") value.blur();
      if (e.key === "Escape") { row.last = null; act.refresh(); value.blur(); }
    });
    value.addEventListener("change", typed);
    return row;
  }

  /** Shows a frame's values; other: those of the head it is compared with; colors: of pinned channels. */
  show(frame, other, colors) {
    for (const row of this.rows) {
      const { channel, element, range, value, low, high } = row;
      const at = (c) => c.values[c.values.length > 1 ? frame : 0];
      const x = at(channel) * channel.scale, text = format(x, row.digits, channel.unit);
      const edited = isEditedFast(channel), pin = colors.get(channel) ?? "", otherX = other ? other(channel) * channel.scale : NaN;
      const last = `${text} ${edited} ${pin} ${otherX}`;
      if (row.last === last) continue;
      row.last = last;
      const share = (v) => `${(100 * (Math.min(high, Math.max(low, v)) - low)) / (high - low)}%`;
      range.value = x;
      if (document.activeElement !== value) value.value = text;
      const rest = channel.rest * channel.scale;
      range.style.setProperty("--a", share(Math.min(x, rest)));
      range.style.setProperty("--b", share(Math.max(x, rest)));
      if (Number.isFinite(otherX)) {
        range.style.setProperty("--o0", `calc(${share(otherX)} - 1px)`);
        range.style.setProperty("--o1", `calc(${share(otherX)} + 1px)`);
      } else for (const name of ["--o0", "--o1"]) range.style.removeProperty(name);
      element.classList.toggle("live", Math.abs(x - rest) > 0.02 * (high - low));
      element.classList.toggle("edited", edited);
      element.classList.toggle("pinned", Boolean(pin));
      element.style.setProperty("--pin", pin || "transparent");
      range.setAttribute("aria-valuetext", text);
    }
    for (const { rows, note } of this.groups) {
      const count = rows.filter((r) => isEditedFast(r.channel)).length;
      note.textContent = count ? `${count} edited` : "";
    }
  }

  search(text) {
    const wanted = text.trim().toLowerCase();
    for (const { element, rows, open } of this.groups) {
      const found = rows.filter((r) => {
        r.element.hidden = !r.channel.label.toLowerCase().includes(wanted) && !r.channel.group.toLowerCase().includes(wanted);
        return !r.element.hidden;
      });
      element.hidden = !found.length;
      element.open = wanted ? true : open;
    }
  }
}

const TITLES = { place: " of the head, in the camera's frame", turn: " of the head", gaze: " of an eye" };
const NAMES = { yaw: "Turn (yaw)", pitch: "Nod (pitch)", roll: "Tilt (roll)", x: "Right (x)", y: "Down (y)", z: "Away (z)" };
const label = (c) => (c.kind === "turn" || c.kind === "place" ? NAMES[c.name] : c.label);

export function format(x, digits, unit) {
  const text = x.toFixed(digits);
  return `${/^-0\.?0*$/.test(text) ? text.slice(1) : text}${unit}`;
}

/** Whether it was edited; looked at anew only where the curve is another array. */
export function isEditedFast(channel) {
  if (channel.checked !== channel.values) {
    channel.checked = channel.values;
    channel.wasEdited = isEdited(channel);
  }
  return channel.wasEdited;
}
