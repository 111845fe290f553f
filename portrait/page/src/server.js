// What needs Python, in a page that 'portrait serve' gave out: fitting a frame again, a preview with a trained network.
import { facts } from "./data.js";

export function connect() {
  if (!facts.server) return;
}
