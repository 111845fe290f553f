"""Makes the pictures of docs/editor.md: the page of the clip that comes with the installation, in Chromium.

python -m tools.editor_pictures
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from PIL import Image

import facemodel
from benchmarks.browser import browser, opened
from portrait.services.fitting import fit_clip
from portrait.services.viewing import ViewOptions, view_page
from portrait.video.sample import carphone

OUT = Path(__file__).parent.parent / "docs" / "images"
EDIT = """() => {
  const p = portrait, channel = (name) => p.performance.byId.get(`expression ${name}`);
  const set = (frame, name, value) => { p.seek(frame); p.acts().set(channel(name), value); };
  ["jawOpen", "browInnerUp", "mouthSmileLeft"].forEach((name) => p.pin(channel(name)));
  set(30, "mouthSmileLeft", 0.7);
  set(90, "browInnerUp", 0.9);
  p.keys = [12, 108];
  p.range = [20, 100];
  set(64, "jawOpen", 0.6);
}"""

DIFFERENCE = "[...document.querySelectorAll('#tools button')].find((b) => b.textContent == 'Difference').click()"


def shoot(look, name: str, *scripts: str) -> None:
    """A picture of the page after some scripts, once all is drawn."""
    for script in scripts:
        look.run(script)
    look.page.wait_for_timeout(4000)
    picture = Image.open(io.BytesIO(look.page.screenshot())).convert("RGB")
    picture.save(OUT / name, quality=82, method=6)
    print(f"{OUT / name}: {picture.width} x {picture.height}, {(OUT / name).stat().st_size:,} bytes")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        track, wide, page = (Path(folder) / name for name in ("carphone.track", "wide.track", "page.html"))
        fit_clip(carphone(), track)
        model = facemodel.load()
        loaded = facemodel.Track.load(track, model)
        facemodel.edit(loaded, model, add={"jawOpen": 0.4, "mouthSmileLeft": 0.5}).save(wide)
        with browser() as started:
            view_page(track, page, ViewOptions(video=carphone()))
            with opened(started, page, width=1280, height=800) as look:
                shoot(look, "editor.webp", EDIT, "portrait.setView('beside')")
            view_page(track, page, ViewOptions(against=wide))
            with opened(started, page, width=1280, height=640) as look:
                shoot(look, "editor-compare.webp", "portrait.showCurves(false), portrait.seek(40)", DIFFERENCE)
            with opened(started, page, width=375, height=720) as look:
                shoot(look, "editor-phone.webp", "portrait.setCompare('off'), portrait.seek(40)")


if __name__ == "__main__":
    main()
