"""A page in a real browser: Debian's chromium through playwright, without a screen and without the network."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ARGUMENTS = (
    "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
NAMES = ("chromium", "chromium-browser", "google-chrome")
LOADED = "Boolean(window.portrait) || document.body.classList.contains('stopped')"


def why_not() -> str | None:
    """Why no browser can be had; None where one can."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "playwright isn't installed: pip install playwright"
    return None if find() else "chromium isn't installed: apt-get install chromium"


def find() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@dataclass
class Opened:
    """A page that was opened."""

    page: object  # playwright's
    errors: list[str] = field(default_factory=list)  # what its console complained of
    requests: list[str] = field(default_factory=list)  # addresses beyond the page itself

    def run(self, script: str, argument=None):
        """What a script gives, within the page."""
        return self.page.evaluate(script, argument)

    def until(self, script: str, seconds: float = 120) -> None:
        """Waits until a script is true; playwright's own waiting is forbidden by the page's policy."""
        end = time.monotonic() + seconds
        while not self.run(script):
            if time.monotonic() > end:
                raise TimeoutError(f"not within {seconds:g} s: {script}")
            self.page.wait_for_timeout(50)


@contextmanager
def browser() -> Iterator:
    """A browser, for as long as it's used."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=find(), args=list(ARGUMENTS))
        try:
            yield started
        finally:
            started.close()


@contextmanager
def opened(
    started, address: str | Path, *, width: int = 1280, height: int = 800, touch: bool = False
) -> Iterator[Opened]:
    """A page of a file, or of an address, that has loaded."""
    context = started.new_context(viewport={"width": width, "height": height}, has_touch=touch, accept_downloads=True)
    try:
        found = Opened(context.new_page())
        where = Path(address).absolute().as_uri() if isinstance(address, Path) else address
        listen = found.page.on
        listen("console", lambda m: found.errors.append(m.text) if m.type in ("error", "warning") else None)
        listen("pageerror", lambda e: found.errors.append(str(e)))
        listen(
            "request",
            lambda r: None if r.url.startswith(("data:", "blob:")) or r.url == where else found.requests.append(r.url),
        )
        found.page.goto(where)
        found.until(LOADED)
        yield found
    finally:
        context.close()


DRAWN = """([frame, head]) => {
  const { stage } = portrait, drawn = stage.heads[head];
  portrait.seek(frame);
  portrait.view.render();
  const gl = stage.renderer.getContext(), { mesh, material, at } = drawn, count = drawn.face.count;
  const [width, height] = [gl.drawingBufferWidth, gl.drawingBufferHeight];
  const compile = material.onBeforeCompile;
  const axis = (drawn.uniforms.axis ??= { value: 0 }); // the program is kept, with what it was compiled with
  const out = new Float32Array(3 * count), bytes = new Uint8Array(4 * width * height);
  material.onBeforeCompile = (shader, renderer) => {
    compile(shader, renderer);
    shader.vertexShader = "varying vec3 vAt;\\n" + shader.vertexShader.replace("#include <fog_vertex>",
      `vAt = transformed; gl_PointSize = 1.0;
       vec2 pixel = vec2(gl_VertexID % ${width}, gl_VertexID / ${width}) + 0.5;
       gl_Position = vec4(pixel / vec2(${width}, ${height}) * 2.0 - 1.0, 0.0, 1.0);
       #include <fog_vertex>`);
    const end = shader.fragmentShader.lastIndexOf("}");
    shader.fragmentShader = `varying vec3 vAt; uniform int axis;\\n` + shader.fragmentShader.slice(0, end) +
      `uint bits = floatBitsToUint(axis == 0 ? vAt.x : axis == 1 ? vAt.y : vAt.z);
       gl_FragColor = vec4(uvec4(bits, bits >> 8, bits >> 16, bits >> 24) & 255u) / 255.0; }`;
  };
  material.customProgramCacheKey = () => "points";
  material.needsUpdate = true;
  mesh.isMesh = false;
  mesh.isPoints = true;
  for (axis.value = 0; axis.value < 3; axis.value++) {
    stage.renderer.setViewport(0, 0, stage.width, stage.height);
    stage.renderer.setScissorTest(false);
    stage.renderer.clear();
    stage.renderer.render(stage.scene, stage.camera);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, bytes);
    const floats = new Float32Array(bytes.buffer);
    at.forEach((v, i) => (out[3 * v + axis.value] = floats[i]));
  }
  mesh.isPoints = false;
  mesh.isMesh = true;
  material.onBeforeCompile = compile;
  delete material.customProgramCacheKey;
  material.needsUpdate = true;
  return Array.from(out);
}"""
"""Vertices as the graphics processor has them: each is drawn as a pixel whose four bytes are a coordinate."""

COMPUTED = """([frame, head]) => {
  portrait.seek(frame);
  portrait.view.render();
  return Array.from(portrait.stage.heads[head].face.vertices());
}"""
"""Vertices as the page's own script computes them."""
