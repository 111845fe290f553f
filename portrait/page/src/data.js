// The page's own data: facts as JSON, arrays deflated in base64, pictures in base64. See portrait/page/pack.py.

export const facts = JSON.parse(document.getElementById("facts").textContent);

const TYPES = { Float32Array, Uint32Array, Uint8Array };

/** Bytes of an element's base64. The element's text is let go: it is as long as the page. */
export function bytesOf(id) {
  const element = document.getElementById(id);
  const text = atob(element.textContent.trim());
  element.textContent = "";
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** Typed arrays by name. */
export async function readArrays() {
  const stream = new Blob([bytesOf("data")]).stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(stream).arrayBuffer();
  return Object.fromEntries(
    facts.table.map(({ name, type, at, count }) => [name, new TYPES[type](buffer, at, count)]),
  );
}
